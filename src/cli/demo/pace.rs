//! Time in the demo: the runtime's clock is paused, so it goes from timer to timer by itself, and is held back to so many
//! times the speed of the real one. Whatever the speed, the same happens at the same moments.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::cli::{CliError, Exit};

/// How far the clock may run ahead, in real time.
const TICK: Duration = Duration::from_millis(20);

/// Lets the demo hurry through what nobody looks at, and stand still while somebody reads.
#[derive(Debug, Clone, Default)]
pub(super) struct Tempo {
    hurries: Rc<Cell<bool>>,
    stands: Rc<Cell<bool>>,
}

impl Tempo {
    /// From now on it hurries, or goes at its usual speed again.
    pub(super) fn hurry(&self, hurries: bool) {
        self.hurries.set(hurries);
    }

    /// From now on no time passes, or it goes on.
    pub(super) fn stand(&self, stands: bool) {
        self.stands.set(stands);
    }
}

/// How fast the demo's time goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Speed {
    /// So many times as fast as real time.
    Times(f64),
    /// As fast as the machine can: whenever nothing is left to do at a moment, the next one comes.
    Unlimited,
}

impl std::str::FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<f64>() {
            _ if text == "max" => Ok(Self::Unlimited),
            Ok(times) if (0.1..=10_000.0).contains(&times) => Ok(Self::Times(times)),
            _ => Err("write a number from 0.1 to 10000, or `max`".to_owned()),
        }
    }
}

/// Carries work out to its end in demo time.
pub(super) fn block_on<T, W>(speed: Speed, work: impl FnOnce(Tempo) -> W) -> Result<T, CliError>
where
    W: Future<Output = Result<T, CliError>>,
{
    let tempo = Tempo::default();
    let work = work(tempo.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .map_err(|error| CliError::new(Exit::Failed, format!("cannot start: {error}")))?;
    runtime.block_on(async {
        match speed {
            Speed::Unlimited => work.await,
            Speed::Times(times) => {
                tokio::pin!(work);
                tokio::select! {
                    biased;
                    done = &mut work => done,
                    never = drive(times, &tempo) => match never {},
                }
            }
        }
    })
}

/// Holds the clock back for ever, but while the demo hurries; wholly, while it stands.
async fn drive(times: f64, tempo: &Tempo) -> std::convert::Infallible {
    let both = || (std::time::Instant::now(), tokio::time::Instant::now());
    let (mut real, mut shown) = both();
    loop {
        if tempo.stands.get() {
            drop(tokio::task::spawn_blocking(|| std::thread::sleep(TICK)).await);
            (real, shown) = both();
            continue;
        }
        tokio::time::sleep(TICK.mul_f64(times)).await;
        if tempo.hurries.get() {
            (real, shown) = both();
            continue;
        }
        let ahead = shown.elapsed().div_f64(times).saturating_sub(real.elapsed());
        if !ahead.is_zero() {
            // While a blocking task runs, a paused clock stays where it is.
            drop(tokio::task::spawn_blocking(move || std::thread::sleep(ahead)).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_sensible_number_or_max() {
        assert_eq!("max".parse(), Ok(Speed::Unlimited));
        assert_eq!("12.5".parse(), Ok(Speed::Times(12.5)));
        for bad in ["0", "-1", "NaN", "inf", "1e9", "fast", ""] {
            assert!(bad.parse::<Speed>().is_err(), "{bad}");
        }
    }

    #[test]
    fn demo_time_goes_so_many_times_as_fast() {
        let real = std::time::Instant::now();
        let waited = block_on(Speed::Times(200.0), |_| async {
            let began = tokio::time::Instant::now();
            tokio::time::sleep(Duration::from_mins(1)).await;
            Ok(began.elapsed())
        });
        assert!(waited.expect("it ends") >= Duration::from_mins(1));
        assert!(real.elapsed() >= Duration::from_millis(250), "the clock ran ahead by itself: {:?}", real.elapsed());
    }

    #[test]
    fn while_it_stands_no_time_passes_and_what_comes_from_outside_is_heard() {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let passed = block_on(Speed::Times(1000.0), |tempo| async move {
            tempo.stand(true);
            let began = tokio::time::Instant::now();
            drop(std::thread::spawn(move || {
                std::thread::sleep(TICK * 5);
                tell.send(()).expect("somebody waits");
            }));
            tokio::select! {
                heard = told.recv() => assert_eq!(heard, Some(())),
                () = tokio::time::sleep(Duration::from_hours(1)) => {}
            }
            let stood = began.elapsed();
            tempo.stand(false);
            tokio::time::sleep(Duration::from_secs(30)).await;
            Ok((stood, began.elapsed()))
        });
        let (stood, passed) = passed.expect("it ends");
        // What was under way when it came to stand, at most: one step of the clock.
        assert!(stood <= TICK.mul_f64(1000.0) * 2, "{stood:?} have passed");
        assert!(passed >= Duration::from_secs(30));
    }
}
