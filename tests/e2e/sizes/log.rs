//! The log of a server whose clients break the rules of HTTP/2.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::memory::start;
use crate::support::PATIENCE;

/// A frame of HTTP/2 in bytes.
fn raw(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}

/// A header without an index: its name by number or text, then its value.
fn header(name: &[u8], value: &str) -> Vec<u8> {
    [name, &[u8::try_from(value.len()).unwrap()], value.as_bytes()].concat()
}

#[tokio::test]
async fn calls_that_are_cancelled_at_once_write_no_lines() {
    let server = start().await;
    let post = [
        &[0x83_u8, 0x86][..],
        &header(&[0x04], "/windrow.v1.ScrapingJobService/ListScrapingJobs"),
        &header(&[0x01], "windrow"),
        &header(&[0x0f, 0x10], "application/grpc"),
        &header(&[0x00, 0x02, b't', b'e'], "trailers"),
    ]
    .concat();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(raw(4, 0, 0, &[]));
    for stream in (1..400).step_by(2) {
        bytes.extend(raw(1, 4, stream, &post));
        bytes.extend(raw(3, 0, stream, &8_u32.to_be_bytes()));
    }

    for _ in 0..5 {
        let mut connection = TcpStream::connect(&server.address).await.unwrap();
        connection.write_all(&bytes).await.unwrap();
        let mut received = Vec::new();
        let read = timeout(PATIENCE, connection.read_to_end(&mut received)).await;
        read.expect("the server does not close the connection").ok();
    }

    server.process.signal("TERM");
    server.log_line("Stopped").await;
    assert_eq!(server.count_log_lines("remotely-reset"), 0);
}
