//! One client connection: frames are read ahead, handled, and answered in their order.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use futures_util::FutureExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc;

use crate::append::Pin;
use crate::error::Fault;
use crate::read_ahead::ReadAhead;
use crate::router::{self, Answer, Route};
use crate::server::Server;
use crate::task::{self, Signal};
use crate::wire::{Frame, FrameError, FrameReader, Reply};

/// Frames read and not yet looked at.
const READ_AHEAD: usize = 32;
/// Pipelined requests begun and not yet answered.
const IN_FLIGHT: usize = 1000;
/// A peer that takes none of its answer for this long is gone.
const WRITE_STALL: Duration = Duration::from_mins(1);

/// What a handler knows of the connection its request came by.
pub struct Connection {
    pub server: Arc<Server>,
    /// Which of the ways down its records take.
    pub pin: Pin,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    /// The peer has closed: nobody reads what is still waited for.
    pub gone: Signal,
    /// For its consumer, if it is one's.
    pub read_ahead: ReadAhead,
}

pub async fn serve(server: Arc<Server>, stream: TcpStream, peer: SocketAddr) {
    let result = AssertUnwindSafe(converse(server, stream, peer))
        .catch_unwind()
        .await
        .unwrap_or(Err(Fault::Panicked));
    match result {
        Ok(()) => tracing::debug!(%peer, "connection closed"),
        Err(fault) if fault.is_disconnect() => tracing::debug!(%peer, %fault, "connection lost"),
        Err(fault) => tracing::warn!(%peer, reason = %fault, "connection closed"),
    }
}

async fn converse(server: Arc<Server>, stream: TcpStream, peer: SocketAddr) -> Result<(), Fault> {
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    let (read, write) = stream.into_split();
    let (raise_gone, gone) = task::signal();
    let (sender, frames) = mpsc::channel(READ_AHEAD);
    let reader = FrameReader::new(
        read,
        server.config.max_request_bytes,
        Arc::clone(&server.request_budget),
    );
    tracing::debug!(%peer, "connection opened");
    let connection = Arc::new(Connection {
        server,
        pin: Pin::default(),
        peer,
        local,
        gone,
        read_ahead: ReadAhead::default(),
    });
    let conversation = Conversation {
        connection,
        frames,
        write,
        in_flight: VecDeque::new(),
    };
    let read_ahead = async move {
        read_frames(reader, sender).await;
        raise_gone.raise();
        // The conversation decides when it is over.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        result = conversation.run() => result,
        () = read_ahead => Ok(()),
    }
}

async fn read_frames(
    mut reader: FrameReader<tokio::net::tcp::OwnedReadHalf>,
    sender: mpsc::Sender<Result<Frame, FrameError>>,
) {
    loop {
        let frame = match reader.next().await {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) => return,
            Err(error) => Err(error),
        };
        let last = frame.is_err();
        if sender.send(frame).await.is_err() || last {
            return;
        }
    }
}

struct Conversation {
    connection: Arc<Connection>,
    frames: mpsc::Receiver<Result<Frame, FrameError>>,
    write: OwnedWriteHalf,
    /// Pipelined requests, oldest first.
    in_flight: VecDeque<Answer>,
}

enum Event {
    Frame(Option<Result<Frame, FrameError>>),
    Answered(Result<Option<Reply>, Fault>),
    Idle,
    Shutdown,
}

impl Conversation {
    async fn run(mut self) -> Result<(), Fault> {
        loop {
            match self.next_event().await {
                Event::Answered(answer) => {
                    self.in_flight.pop_front();
                    self.write_ready(answer?).await?;
                }
                Event::Frame(Some(frame)) => self.begin(frame).await?,
                Event::Frame(None) | Event::Idle => return self.finish().await,
                Event::Shutdown => {
                    // What has arrived is answered, then the connection ends.
                    while let Ok(frame) = self.frames.try_recv() {
                        self.begin(frame).await?;
                    }
                    return self.finish().await;
                }
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        let idle = self.in_flight.is_empty();
        let room = self.in_flight.len() < IN_FLIGHT;
        let server = &self.connection.server;
        tokio::select! {
            biased;
            answer = front(&mut self.in_flight), if !idle => Event::Answered(answer),
            () = server.shutdown.raised() => Event::Shutdown,
            frame = self.frames.recv(), if room => Event::Frame(frame),
            () = tokio::time::sleep(server.config.idle_timeout), if idle => Event::Idle,
        }
    }

    /// Starts a request; one that is not pipelined is also finished here.
    async fn begin(&mut self, frame: Result<Frame, FrameError>) -> Result<(), Fault> {
        let route = match frame.map_err(Fault::from).and_then(router::route) {
            Ok(route) => route,
            Err(fault) => {
                // The requests before the bad one are answered first.
                self.drain().await?;
                return Err(fault);
            }
        };
        match route {
            Route::Handle(request) if request.api.pipelined => {
                let answer = (request.api.handler)(Arc::clone(&self.connection), request);
                self.in_flight.push_back(answer);
                Ok(())
            }
            Route::Handle(request) => {
                self.drain().await?;
                let answer = (request.api.handler)(Arc::clone(&self.connection), request).await?;
                self.write(answer).await
            }
            Route::Answer(reply) => {
                self.drain().await?;
                self.write(Some(reply)).await
            }
        }
    }

    async fn drain(&mut self) -> Result<(), Fault> {
        while let Some(answer) = self.in_flight.pop_front() {
            let reply = answer.await?;
            self.write_ready(reply).await?;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<(), Fault> {
        self.drain().await?;
        self.write.shutdown().await?;
        Ok(())
    }

    /// Writes an answer together with those behind it that are ready as well.
    async fn write_ready(&mut self, first: Option<Reply>) -> Result<(), Fault> {
        let mut replies = first.unwrap_or_default();
        let mut fault = None;
        while let Some(next) = self.in_flight.front_mut() {
            let Some(answer) = next.now_or_never() else {
                break;
            };
            self.in_flight.pop_front();
            match answer {
                Ok(Some(reply)) => replies.append(reply),
                Ok(None) => {}
                Err(error) => {
                    fault = Some(error);
                    break;
                }
            }
        }
        self.write(Some(replies)).await?;
        fault.map_or(Ok(()), Err)
    }

    async fn write(&mut self, reply: Option<Reply>) -> Result<(), Fault> {
        let mut reply = reply.unwrap_or_default();
        while reply.has_remaining() {
            let written = tokio::time::timeout(WRITE_STALL, self.write.write_buf(&mut reply))
                .await
                .map_err(|_| Fault::WriteStalled {
                    seconds: WRITE_STALL.as_secs(),
                })??;
            if written == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::WriteZero).into());
            }
        }
        Ok(())
    }
}

async fn front(in_flight: &mut VecDeque<Answer>) -> Result<Option<Reply>, Fault> {
    match in_flight.front_mut() {
        Some(answer) => answer.await,
        None => std::future::pending().await,
    }
}
