//! The binary: hooks for panics and errors, then [`changeover::cli`]. Nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Without hooks the program still works, it only reports less well.
    drop(color_eyre::config::HookBuilder::default().display_env_section(false).install());
    changeover::cli::main()
}
