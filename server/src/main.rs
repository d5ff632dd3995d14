//! The program `kiln`.

fn main() -> std::process::ExitCode {
    server::cli::main()
}
