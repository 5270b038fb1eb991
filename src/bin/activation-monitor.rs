//! The command-line program; see [`activation_monitor::cli`].

fn main() -> std::process::ExitCode {
    activation_monitor::cli::main()
}
