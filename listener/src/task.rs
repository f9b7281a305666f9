//! Background tasks and the signals that end waits.

use std::future::Future;

use tokio::sync::watch;

/// Runs a task that belongs to the process: one that panics is started again.
pub fn keep_running<F>(task: &'static str, mut start: impl FnMut() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        while tokio::spawn(start()).await.is_err() {
            tracing::error!(task, "a background task panicked and is started again");
        }
    });
}

/// Something that happens once, and whoever waits for it.
#[derive(Debug, Clone)]
pub struct Signal {
    receiver: watch::Receiver<bool>,
}

/// Raises its signal, also by being dropped.
#[derive(Debug)]
pub struct Raise {
    sender: watch::Sender<bool>,
}

pub fn signal() -> (Raise, Signal) {
    let (sender, receiver) = watch::channel(false);
    (Raise { sender }, Signal { receiver })
}

impl Raise {
    pub fn raise(&self) {
        self.sender.send_replace(true);
    }
}

impl Signal {
    pub fn is_raised(&self) -> bool {
        *self.receiver.borrow() || self.receiver.has_changed().is_err()
    }

    pub async fn raised(&self) {
        let mut receiver = self.receiver.clone();
        // An error says that nobody is left to raise it, which counts as raised.
        let _ = receiver.wait_for(|raised| *raised).await;
    }
}
