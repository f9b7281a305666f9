//! Tidies up after this process however it ends, so that no server is left behind.

use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Runs its commands when it is dropped, or when this process has ended in whatever way.
pub(crate) struct Guard {
    shell: Child,
    /// Closed when this process ends.
    open: Option<ChildStdin>,
}

impl Guard {
    /// `commands` are the shell's, with `arguments` as $1 and so on.
    pub(crate) fn new(commands: &str, arguments: &[&str]) -> std::io::Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", &format!("cat >/dev/null\n{commands}"), "guard"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            // Ctrl-C is for everything in front.
            .process_group(0)
            .spawn()?;
        let open = shell.stdin.take();
        Ok(Guard { shell, open })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.open = None;
        let _ = self.shell.wait();
    }
}
