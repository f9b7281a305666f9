//! Clients by the thousand: no more than a connection each.

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::RequestHeader;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::Result;

/// One connection, a request at a time.
pub(crate) struct Connection {
    stream: TcpStream,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream })
    }

    pub(crate) async fn call<R: Request>(
        &mut self,
        version: i16,
        request: &R,
    ) -> Result<R::Response> {
        let head = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version);
        let mut frame = BytesMut::from(&[0; 4][..]);
        head.encode(&mut frame, R::header_version(version))?;
        request.encode(&mut frame, version)?;
        let length = u32::try_from(frame.len() - 4)?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&frame).await?;
        let length = self.stream.read_u32().await?;
        let mut answer = vec![0; length as usize];
        self.stream.read_exact(&mut answer).await?;
        let mut answer = Bytes::from(answer);
        answer.advance(4);
        if R::Response::header_version(version) == 1 {
            answer.advance(1);
        }
        Ok(R::Response::decode(&mut answer, version)?)
    }
}
