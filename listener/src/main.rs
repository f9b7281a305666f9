//! The process: flags, logs, signals.

mod memory;

use std::process::ExitCode;

use clap::Parser;
use pg_kafka_listener::config::{Config, LogFormat};
use pg_kafka_listener::{router, run, task};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

fn main() -> ExitCode {
    memory::keep_freed();
    let config = Config::parse();
    if config.print_api_table {
        print!("{}", router::markdown_table());
        return ExitCode::SUCCESS;
    }
    start_logs(&config);
    raise_file_limit();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(serve(config));
    // Sessions of the database are closed by the end of the process.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (raise, shutdown) = task::signal();
    let watcher = tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        raise.raise();
        // A second signal is from somebody in a hurry.
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(1);
    });
    let result = run(config, shutdown).await;
    watcher.abort();
    result
}

/// Each client takes a file descriptor, and the usual soft limit of 1024 would be met by
/// the database sessions as well.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "cannot raise the limit of open files");
    }
}

fn start_logs(config: &Config) {
    let registry = tracing_subscriber::registry().with(config.log_level.clone());
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => {
            use std::io::IsTerminal;
            let ansi = std::io::stderr().is_terminal();
            registry.with(layer.with_ansi(ansi)).init();
        }
        LogFormat::Json => registry.with(layer.json()).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(%panic, "panic");
    }));
}
