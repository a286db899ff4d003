//! Word for word what a look asked and what it was answered, for a person who does not believe a light. It stands between
//! a probe and the world, changes nothing, and keeps no secret: those are hidden in what is asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::model::{SafeText, Secret, SecretSource};
use crate::port::{
    Certificate, CertificateLook, ExecOutput, HttpRequest, HttpResponse, JobCancel, JobId, JobPoll, JobStart, Pipeline,
    Place, Reach, ReachError, RedisEndpoint, RedisReply, SqlEndpoint, SqlRows, SqlStatement, SqlValue,
};

/// So many bytes of one answer are kept.
const ANSWER: usize = 4 * 1024;
/// So many bytes are kept of all that one look asked and heard.
const ALL: usize = 12 * 1024;

/// The world, heard along.
pub(super) struct Transcript {
    reach: Arc<dyn Reach>,
    heard: Mutex<Vec<Exchange>>,
}

/// A question, and what was answered; nothing while nothing has come.
struct Exchange {
    asked: String,
    said: Option<String>,
}

impl Transcript {
    /// Nothing was heard yet.
    pub(super) fn of(reach: Arc<dyn Reach>) -> Arc<Self> {
        Arc::new(Self { reach, heard: Mutex::default() })
    }

    /// All that was heard until now.
    pub(super) fn text(&self) -> SafeText {
        let mut text = String::new();
        for Exchange { asked, said } in self.heard().iter() {
            let said = said.as_deref().unwrap_or("(nothing has come)");
            let parts = [if text.is_empty() { "" } else { "\n" }, "> ", asked, "\n", said];
            text.extend(parts);
            if !said.is_empty() {
                text.push('\n');
            }
        }
        SafeText::block(&cut(&text, ALL))
    }

    fn heard(&self) -> MutexGuard<'_, Vec<Exchange>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears a question along, and later its answer.
    async fn hear<T>(
        &self,
        asked: String,
        answer: impl Future<Output = Result<T, ReachError>>,
        said: impl FnOnce(&T) -> String,
    ) -> Result<T, ReachError> {
        let place = {
            let mut heard = self.heard();
            heard.push(Exchange { asked, said: None });
            heard.len() - 1
        };
        let answer = answer.await;
        let said = match &answer {
            Ok(answer) => said(answer),
            Err(error) => format!("no answer: {error}"),
        };
        if let Some(exchange) = self.heard().get_mut(place) {
            exchange.said = Some(cut(said.trim_end(), ANSWER));
        }
        answer
    }
}

/// The beginning of a text, with the length of the whole when that is not all.
fn cut(text: &str, most: usize) -> String {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if end < text.len() { format!("{}\n… ({} bytes in all)", &text[..end], text.len()) } else { text.to_owned() }
}

#[async_trait]
impl Reach for Transcript {
    async fn exec(&self, place: &Place, pipeline: &Pipeline, timeout: Duration) -> Result<ExecOutput, ReachError> {
        self.hear(format!("{place}$ {pipeline}"), self.reach.exec(place, pipeline, timeout), printed).await
    }

    async fn http(&self, request: &HttpRequest) -> Result<HttpResponse, ReachError> {
        let said = |response: &HttpResponse| {
            format!("status {}\n{}", response.status, String::from_utf8_lossy(&response.body))
        };
        self.hear(request.to_string(), self.reach.http(request), said).await
    }

    async fn certificate(&self, look: &CertificateLook) -> Result<Certificate, ReachError> {
        let said = |found: &Certificate| format!("{}, valid until {}", found.subject, found.not_after);
        self.hear(format!("certificate of {}", look.url), self.reach.certificate(look), said).await
    }

    async fn sql(&self, endpoint: &SqlEndpoint, statements: &[SqlStatement]) -> Result<Vec<SqlRows>, ReachError> {
        let asked: Vec<&str> = statements.iter().map(|statement| statement.text.as_str()).collect();
        let said = |all: &Vec<SqlRows>| all.iter().map(table).collect::<Vec<_>>().join("\n\n");
        self.hear(format!("{endpoint}: {}", asked.join(";\n  ")), self.reach.sql(endpoint, statements), said).await
    }

    async fn redis(&self, endpoint: &RedisEndpoint, commands: &[Vec<String>]) -> Result<Vec<RedisReply>, ReachError> {
        let asked: Vec<String> = commands.iter().map(|command| command.join(" ")).collect();
        let said = |replies: &Vec<RedisReply>| replies.iter().map(reply).collect::<Vec<_>>().join("\n");
        self.hear(format!("{endpoint}: {}", asked.join("; ")), self.reach.redis(endpoint, commands), said).await
    }

    async fn secret(&self, source: &SecretSource) -> Result<Secret, ReachError> {
        self.reach.secret(source).await
    }

    // No probe has jobs; what they print is in files of their own.

    async fn job_start(&self, place: &Place, job: &JobId, pipeline: &Pipeline) -> Result<JobStart, ReachError> {
        self.reach.job_start(place, job, pipeline).await
    }

    async fn job_poll(&self, place: &Place, job: &JobId, offset: u64, wait: Duration) -> Result<JobPoll, ReachError> {
        self.reach.job_poll(place, job, offset, wait).await
    }

    async fn job_cancel(&self, place: &Place, job: &JobId, grace: Duration) -> Result<JobCancel, ReachError> {
        self.reach.job_cancel(place, job, grace).await
    }

    async fn job_forget(&self, place: &Place, job: &JobId) -> Result<(), ReachError> {
        self.reach.job_forget(place, job).await
    }
}

/// What a command printed, and its exit codes where they are not zero.
fn printed(output: &ExecOutput) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let mut parts: Vec<String> =
        [out, err].iter().map(|part| part.trim_end().to_owned()).filter(|part| !part.is_empty()).collect();
    if !output.is_success() {
        parts.push(output.exits.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    }
    parts.join("\n")
}

/// One row as a list of its columns, several as lines below their names.
fn table(rows: &SqlRows) -> String {
    let shown = |value: &SqlValue| value.text().unwrap_or_else(|| "NULL".to_owned());
    match &rows.rows[..] {
        [] => "no rows".to_owned(),
        [row] => {
            let named = rows.columns.iter().zip(row);
            named.map(|(name, value)| format!("{name}: {}", shown(value))).collect::<Vec<_>>().join("\n")
        }
        all => {
            let lines = all.iter().map(|row| row.iter().map(shown).collect::<Vec<_>>().join(" | "));
            std::iter::once(rows.columns.join(" | ")).chain(lines).collect::<Vec<_>>().join("\n")
        }
    }
}

fn reply(reply: &RedisReply) -> String {
    match reply {
        RedisReply::Nil => "nil".to_owned(),
        RedisReply::Status(text) => text.clone(),
        RedisReply::Integer(number) => number.to_string(),
        RedisReply::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        RedisReply::Array(replies) => replies.iter().map(self::reply).collect::<Vec<_>>().join("\n"),
        RedisReply::Error(text) => format!("error: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HostName, SiteName};
    use crate::port::fake::{Answer, FakeReach};
    use crate::port::{Command, Method, SqlAddress};

    fn place() -> Place {
        Place::Host(SiteName::new("prod").expect("a name"), HostName::new("app1").expect("a name"))
    }

    async fn run(transcript: &Transcript, command: Command) {
        drop(transcript.exec(&place(), &command.into(), Duration::from_secs(1)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn questions_and_answers_stand_as_they_were() {
        let reach = Arc::new(FakeReach::new());
        reach.on("df", Answer::exec(&[0], "Filesystem\n/dev/x 10 %\n", ""));
        reach.on("false", Answer::exec(&[3], "", "no such thing\n"));
        reach.on("gone", Answer::lost());
        reach.on("/health", Answer::http(503, "{\"status\": \"red\"}"));
        reach.on("sleep", Answer::Hang);
        let transcript = Transcript::of(reach);
        for command in ["df", "false", "gone"] {
            run(&transcript, Command::new(command).arg("-x")).await;
        }
        drop(transcript.http(&HttpRequest::new(Method::Get, "http://a/health")).await);
        // What hangs is the most interesting.
        let hangs = run(&transcript, Command::new("sleep"));
        drop(tokio::time::timeout(Duration::from_secs(5), hangs).await);
        let text = transcript.text();
        let expected = "> prod:app1$ df -x\nFilesystem\n/dev/x 10 %\n\n> prod:app1$ false -x\nno such thing\nexit code 3\n\n> \
                        prod:app1$ gone -x\nno answer: ";
        assert!(text.as_str().starts_with(expected), "{text}");
        let end = "\n\n> GET http://a/health\nstatus 503\n{\"status\": \"red\"}\n\n> \
                        prod:app1$ sleep\n(nothing has come)";
        assert!(text.as_str().ends_with(end), "{text}");
    }

    #[tokio::test]
    async fn a_password_is_never_heard() {
        let reach = Arc::new(FakeReach::new());
        reach.always("SELECT", Answer::lost());
        let transcript = Transcript::of(reach);
        let endpoint = SqlEndpoint {
            address: SqlAddress::Tcp("db".into(), 3306),
            through: None,
            user: "ops".into(),
            password: Some(Secret::new("opensesame".to_owned())),
            database: None,
            ca_pem: None,
        };
        drop(transcript.sql(&endpoint, &[SqlStatement::new("SELECT 1")]).await);
        let text = transcript.text();
        assert!(text.as_str().starts_with("> ops@db:3306: SELECT 1\nno answer: "), "{text}");
        assert!(!text.as_str().contains("opensesame"));
    }

    #[tokio::test]
    async fn one_long_answer_leaves_room_for_others_and_all_of_them_have_an_end() {
        let reach = Arc::new(FakeReach::new());
        reach.always("cat", Answer::stdout(&"ä".repeat(ANSWER)));
        reach.always("date", Answer::stdout("noon"));
        let transcript = Transcript::of(reach);
        run(&transcript, Command::new("cat")).await;
        run(&transcript, Command::new("date")).await;
        let text = transcript.text();
        assert!(text.as_str().contains("… (8192 bytes in all)\n\n> prod:app1$ date\nnoon"), "{text}");
        for _ in 0..100 {
            run(&transcript, Command::new("cat")).await;
        }
        assert!(transcript.text().as_str().len() < ALL + 64, "{}", transcript.text().as_str().len());
    }

    #[test]
    fn rows_and_replies_in_words() {
        let value = |text: &str| SqlValue::Bytes(text.into());
        let rows = |rows: Vec<Vec<SqlValue>>| SqlRows { columns: vec!["a".into(), "b".into()], rows, affected: 0 };
        for (rows, said) in [
            (rows(vec![]), "no rows"),
            (rows(vec![vec![value("x"), SqlValue::Null]]), "a: x\nb: NULL"),
            (
                rows(vec![vec![value("x"), SqlValue::Integer(-1)], vec![value("y"), SqlValue::Unsigned(2)]]),
                "a | b\nx | -1\ny | 2",
            ),
        ] {
            assert_eq!(table(&rows), said);
        }
        let replies =
            RedisReply::Array(vec![RedisReply::Nil, RedisReply::Integer(3), RedisReply::Error("NOAUTH".into())]);
        assert_eq!(reply(&replies), "nil\n3\nerror: NOAUTH");
    }
}
