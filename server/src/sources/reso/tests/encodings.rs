//! Compressed bodies, byte order marks, and preferences that a server refuses.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// `{"value":[{"ListingKey":"1"}]}`
const GZIP: &str = "1f8b0800000000000003ab562a4bcc294d55b28aae56f2c92c2ec9cc4bf74ead54b2523254aa8dad0500598e78021e000000";
const DEFLATE: &str =
    "789cab562a4bcc294d55b28aae56f2c92c2ec9cc4bf74ead54b2523254aa8dad0500a2830a3a";
const BROTLI: &str = "8b0e807b2276616c7565223a5b7b224c697374696e674b6579223a2231227d5d7d03";

#[tokio::test]
async fn compressed_pages_are_read() {
    for (encoding, body) in [("gzip", GZIP), ("deflate", DEFLATE), ("br", BROTLI)] {
        let fake = Fake::start([Answer::Encoded(encoding, hex::decode(body).unwrap())]).await;
        assert_eq!(fake.scrape().await, (vec!["1".to_owned()], Ok(())), "{encoding}");
    }
    let marked = "\u{feff}{\"value\":[{\"ListingKey\":\"1\"}]}".to_owned();
    let fake = Fake::start([Answer::Status(StatusCode::OK, "", marked)]).await;
    assert_eq!(fake.scrape().await, (vec!["1".to_owned()], Ok(())));
}

#[tokio::test]
async fn a_small_body_that_expands_is_cut_and_unknown_encodings_are_named() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
    let spaces = vec![b' '; 1024 * 1024];
    (0..40).for_each(|_| bomb.write_all(&spaces).unwrap());
    let fake = Fake::start([Answer::Encoded("gzip", bomb.finish().unwrap())]).await;
    let message = reason(fake.scrape().await.1);
    assert_eq!(message, "the response has more than 33554432 bytes");
    let fake = Fake::start([Answer::Encoded("zstd", vec![0x28, 0xb5, 0x2f, 0xfd])]).await;
    let message = reason(fake.scrape().await.1);
    assert!(message.contains("content encoding zstd; supported are gzip"), "{message}");
}

/// A server that refuses requests with a page size, or with an order.
async fn refusing(size: bool, order: bool) -> Fake {
    Fake::start_with(move |request| {
        let has_size = request.headers().contains_key("prefer");
        let has_order = request.uri().query().unwrap().contains("orderby");
        match (has_size && size, has_order && order) {
            (false, false) => page(&["1"], None),
            (true, _) => status(StatusCode::PRECONDITION_FAILED, ""),
            (false, true) => status(StatusCode::NOT_IMPLEMENTED, ""),
        }
    })
    .await
}

#[tokio::test]
async fn preferences_that_the_server_refuses_are_dropped() {
    for (size, order, requests) in [(true, false, 2), (false, true, 3), (true, true, 4)] {
        let fake = refusing(size, order).await;
        let source = ResoSource::new(fake.settings());
        for total in [requests, requests + 1] {
            let (ids, result, log) = scrape_with_log(&source, request()).await;
            assert_eq!((ids, result), (vec!["1".to_owned()], Ok(())), "{log:?}");
            assert_eq!(fake.seen().len(), total, "the next location does not try again");
        }
    }
    let fake = refusing(true, true).await;
    let modest = ResoSettings { page_size: 0, ordered: false, ..fake.settings() };
    assert_eq!(scrape(modest, request()).await.1, Ok(()));
    assert_eq!(fake.seen().len(), 1);
}
