//! Frames: four bytes of length, then a request.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const LENGTH_BYTES: usize = 4;
const READ_BYTES: usize = 8 * 1024;
/// A frame that has begun holds memory that others wait for, so it has to go on arriving.
const STALL: Duration = Duration::from_secs(30);

/// One request as it came, and the memory reserved for it.
#[derive(Debug)]
pub struct Frame {
    pub bytes: Bytes,
    pub reserved: Arc<OwnedSemaphorePermit>,
}

#[derive(thiserror::Error, Debug)]
pub enum FrameError {
    #[error("frame length {length} is negative")]
    Negative { length: i32 },
    #[error("frame length {length} exceeds the limit of {limit} bytes")]
    TooLarge { length: usize, limit: usize },
    #[error("frame length {length} is too short for a request header")]
    TooShort { length: usize },
    #[error("connection ended inside a frame: {got} of {length} bytes")]
    Truncated { got: usize, length: usize },
    #[error("a frame of {length} bytes stopped arriving after {got}")]
    Stalled { got: usize, length: usize },
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("the listener is shutting down")]
    Shutdown,
}

impl FrameError {
    /// The peer went away, which is nobody's fault and no reason for a warning.
    pub fn is_disconnect(&self) -> bool {
        matches!(self, Self::Io(_) | Self::Shutdown)
    }
}

pub struct FrameReader<R> {
    reader: R,
    buffer: BytesMut,
    max_bytes: usize,
    /// One permit per byte that requests may take in this process.
    budget: Arc<Semaphore>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub fn new(reader: R, max_bytes: usize, budget: Arc<Semaphore>) -> Self {
        Self {
            reader,
            buffer: BytesMut::new(),
            max_bytes,
            budget,
        }
    }

    /// The next frame, or `None` where the peer closed between two frames.
    pub async fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        while self.buffer.len() < LENGTH_BYTES {
            self.buffer.reserve(READ_BYTES);
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                let got = self.buffer.len();
                return match got {
                    0 => Ok(None),
                    _ => Err(FrameError::Truncated {
                        got,
                        length: LENGTH_BYTES,
                    }),
                };
            }
        }
        let declared = self.buffer.get_i32();
        let length = self.accept_length(declared)?;
        // `accept_length` has bounded the length by a limit that fits the permit count.
        let permits = u32::try_from(length).unwrap_or(u32::MAX);
        let reserved = Arc::clone(&self.budget)
            .acquire_many_owned(permits)
            .await
            .map_err(|_| FrameError::Shutdown)?;
        self.fill(length).await?;
        Ok(Some(Frame {
            bytes: self.buffer.split_to(length).freeze(),
            reserved: Arc::new(reserved),
        }))
    }

    fn accept_length(&self, length: i32) -> Result<usize, FrameError> {
        let limit = self.max_bytes;
        let length = usize::try_from(length).map_err(|_| FrameError::Negative { length })?;
        if length > limit {
            return Err(FrameError::TooLarge { length, limit });
        }
        // Key, version, correlation id: less cannot even be answered.
        if length < 8 {
            return Err(FrameError::TooShort { length });
        }
        Ok(length)
    }

    async fn fill(&mut self, length: usize) -> Result<(), FrameError> {
        self.buffer
            .reserve(length.saturating_sub(self.buffer.len()));
        while self.buffer.len() < length {
            let got = self.buffer.len();
            let read = tokio::time::timeout(STALL, self.reader.read_buf(&mut self.buffer))
                .await
                .map_err(|_| FrameError::Stalled { got, length })??;
            if read == 0 {
                return Err(FrameError::Truncated { got, length });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &[u8]) -> FrameReader<&[u8]> {
        FrameReader::new(bytes, 1000, Arc::new(Semaphore::new(1000)))
    }

    #[tokio::test]
    async fn frames_come_one_by_one_and_end_clean() {
        let mut bytes = Vec::new();
        for fill in [1_u8, 2] {
            bytes.extend_from_slice(&10_i32.to_be_bytes());
            bytes.extend_from_slice(&[fill; 10]);
        }
        let mut frames = reader(&bytes);
        assert_eq!(frames.next().await.unwrap().unwrap().bytes[..], [1; 10]);
        let second = frames.next().await.unwrap().unwrap();
        assert_eq!(second.bytes[..], [2; 10]);
        assert_eq!(frames.budget.available_permits(), 990);
        drop(second);
        assert_eq!(frames.budget.available_permits(), 1000);
        assert!(frames.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn hostile_lengths() {
        let huge = 0x7fff_ffff_i32.to_be_bytes();
        let error = reader(&huge).next().await.unwrap_err();
        assert!(matches!(error, FrameError::TooLarge { .. }));
        let negative = (-1_i32).to_be_bytes();
        let error = reader(&negative).next().await.unwrap_err();
        assert!(matches!(error, FrameError::Negative { .. }));
        let error = reader(&[0, 0, 0, 3, 0, 0, 0]).next().await.unwrap_err();
        assert!(matches!(error, FrameError::TooShort { length: 3 }));
        let error = reader(&[0, 0, 0, 9, 0, 0, 0]).next().await.unwrap_err();
        assert!(matches!(error, FrameError::Truncated { got: 3, length: 9 }));
        let error = reader(&[0, 0]).next().await.unwrap_err();
        assert!(matches!(error, FrameError::Truncated { got: 2, .. }));
    }
}
