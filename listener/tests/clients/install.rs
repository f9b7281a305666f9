//! Downloads of clients, kept in cargo's target folder.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::try_run;

/// What lies beside this file.
pub(crate) fn sources(language: &str) -> PathBuf {
    let listener = Path::new(env!("CARGO_MANIFEST_DIR"));
    listener.join("tests/clients").join(language)
}

/// Where that language's downloads are.
pub(crate) fn downloads(language: &str) -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    tmp.join("clients").join(language)
}

/// Runs `install` where it has not yet succeeded with these sources.
pub(crate) fn once<T>(
    folder: &Path,
    sources: &[PathBuf],
    install: impl FnOnce() -> Result<T, String>,
) -> Result<(), String> {
    let wanted = sources.iter().map(|source| {
        std::fs::read_to_string(source)
            .unwrap_or_else(|error| panic!("{}: {error}", source.display()))
    });
    let wanted = wanted.collect::<String>();
    let stamp = folder.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
    std::fs::create_dir_all(folder).unwrap();
    install()?;
    std::fs::write(stamp, wanted).unwrap();
    Ok(())
}

/// Runs a step that needs the network or a program which may be missing.
pub(crate) fn step(command: &mut Command) -> Result<(), String> {
    try_run(command, "").map(|_| ())
}

/// The client, or a line that says why there is none.
pub(crate) fn or_skip<T>(installed: Result<T, String>) -> Option<T> {
    let why = match installed {
        Ok(client) => return Some(client),
        Err(why) => why,
    };
    let required = std::env::var_os("PG_KAFKA_ALL_CLIENTS").is_some_and(|value| value != "0");
    assert!(!required, "{why}");
    let test = std::thread::current();
    let test = test.name().unwrap_or("a test");
    // Not by a macro: the test harness keeps to itself what macros print.
    let line = format!("SKIPPED {test}: {}\n", why.trim().replace('\n', "\n    "));
    let _ = std::io::stderr().write_all(line.as_bytes());
    None
}
