//! Answers that are not those of Windrow: each has one line that is true and says what to do.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use h2::Reason;
use h2::server::SendResponse;
use prost::bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use windrow_server::supervisor::Supervisor;

use super::command::run;
use crate::support::Windrow;
use crate::support::tls::TlsFiles;

#[derive(Clone, Copy)]
enum Answer {
    /// Bytes without HTTP/2; nothing closes the connection.
    Raw(&'static [u8]),
    /// A status of HTTP and a page.
    Http(u16),
    /// 200 with this body and without trailers.
    Body(&'static [u8]),
    /// An error with a message of this length.
    Trailers(usize),
    Reset(Reason),
    /// Accepts the call and closes the connection.
    Cut,
}

#[tokio::test]
async fn every_wrong_answer_has_a_true_line_with_a_remedy() {
    let no_address = "is not the address of Windrow: ";
    for (answer, lines, expected) in [
        (
            Answer::Raw(b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>"),
            1,
            "it speaks HTTP/1; correct the port",
        ),
        (
            Answer::Raw(b"SSH-2.0-OpenSSH_9\r\n"),
            1,
            "answers there with \"SSH-2.0-OpenSSH_9\"; correct",
        ),
        (Answer::Raw(b"\x15\x03\x01\x00\x02\x02\x46"), 1, "it expects TLS; write https://"),
        (Answer::Raw(b""), 1, "it accepts connections and closes them; correct"),
        (
            Answer::Http(502),
            1,
            "HTTP 502 without a gRPC status; a proxy at this address does not reach",
        ),
        (
            Answer::Http(503),
            1,
            "HTTP 503 without a gRPC status; a proxy at this address does not reach",
        ),
        (Answer::Http(404), 1, "HTTP 404 without a gRPC status; correct the address"),
        (Answer::Http(403), 1, "HTTP 403 without a gRPC status; a proxy at this address rejects"),
        (Answer::Body(b"<html>"), 1, "it is no gRPC; correct the address"),
        (
            Answer::Body(b"\0\0\0\0\x04\xff\xff\xff\xff"),
            1,
            "use the same version of client and server",
        ),
        (Answer::Body(b"\0\0\0\0\0"), 1, "it was cut; if a proxy is in between"),
        (Answer::Body(b"\0\0\0\x01\0abc"), 1, "it is no gRPC"),
        (Answer::Trailers(100_000), 1, "error: xxxxx"),
        (Answer::Trailers(3_000_000), 2, "broke before its response\n  cause: "),
        (Answer::Reset(Reason::INTERNAL_ERROR), 2, "broke before its response\n  cause: "),
        (Answer::Cut, 2, "broke before its response\n  cause: "),
    ] {
        let address = serve(answer).await;

        let output = run(&address, &["jobs", "list"]).await;

        let said = String::from_utf8(output.stderr).unwrap();
        // On a loaded machine, an answer may take longer than the command is silent.
        let is_error = |line: &&str| !line.starts_with("Waiting for ");
        let said = said.split_inclusive('\n').filter(is_error).collect::<String>();
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), lines), "{said}");
        assert!(said.contains(expected), "{expected} is not in {said}");
        assert!(said.len() < 4_000, "{} bytes", said.len());
        assert!(!said.contains("is windrow-server running"), "{said}");
        assert!(!matches!(answer, Answer::Raw(_)) || said.contains(no_address), "{said}");
    }
}

#[tokio::test]
async fn the_wrong_scheme_is_named() {
    let windrow = Windrow::start().await;
    let files = TlsFiles::new();
    let secured = Windrow::start_with_tls(&files, |_| {}).await;
    let secure_address = secured.secure_address();
    let secure = secure_address.strip_prefix("https://").unwrap();
    let plain = windrow.address();
    let said = async |server: &str| {
        let output = run(server, &["jobs", "list"]).await;
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };

    let without = said(secure).await;
    let with = said(&format!("https://{plain}")).await;
    let unknown = said(&secure_address).await;

    let wrong =
        |given: &str, rest: &str| format!("error: {given} is not the address of Windrow: {rest}\n");
    assert_eq!(without, wrong(secure, &format!("it expects TLS; write https://{secure}")));
    let given = format!("https://{plain}");
    assert_eq!(with, wrong(&given, &format!("it has no TLS; write http://{plain}")));
    assert!(unknown.contains("UnknownIssuer; --ca-file names its authority"), "{unknown}");
    secured.stop().await;
    windrow.stop().await;
}

#[tokio::test]
async fn errors_and_hints_are_objects_with_json() {
    let windrow = Windrow::start().await;
    let address = windrow.address();
    let error = async |arguments: &[&str]| {
        let output = run(&address, &[&["--json"], arguments].concat()).await;
        assert!(output.stdout.is_empty(), "{output:?}");
        let said: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(said["error"]["exit_code"].as_i64(), output.status.code().map(i64::from));
        said["error"].clone()
    };

    let missing = error(&["jobs", "get", "none"]).await;
    let create = ["jobs", "create", "job", "--name", "Job", "--location", "a", "--cron"];
    let wrong = error(&[&create[..], &["61 * * * *"]].concat()).await;
    let usage = error(&["jobs", "gte"]).await;
    let nothing = error(&["jobs", "update", "job"]).await;

    assert_eq!(
        (&missing["code"], &missing["reason"]),
        (&"NOT_FOUND".into(), &"SCHEDULED_JOB_NOT_FOUND".into())
    );
    assert_eq!(wrong["field_violations"][0]["field"], "scheduled_job.cron_expression");
    assert!(usage["message"].as_str().unwrap().starts_with("unrecognized subcommand 'gte'"));
    assert!(nothing["message"].as_str().unwrap().starts_with("no setting to change"));
    let exported = run(&address, &["properties", "export", "--json"]).await;
    let hint: serde_json::Value = serde_json::from_slice(&exported.stderr).unwrap();
    assert_eq!(hint, serde_json::json!({ "hint": "Exported 0 properties" }));
    windrow.stop().await;
}

/// Listens, and answers every call in the same way; returns the address.
async fn serve(answer: Answer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    Supervisor::default().work(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            Supervisor::default().work(async move {
                match answer {
                    Answer::Raw(bytes) => raw(tcp, bytes).await,
                    _ => http2(tcp, answer).await,
                }
            });
        }
    });
    address
}

/// Reads until the client has said something, because a close with unread bytes is a reset.
async fn raw(mut tcp: TcpStream, bytes: &[u8]) {
    let mut hello = [0; 1_024];
    let heard = tcp.read(&mut hello).await.unwrap_or(0);
    assert!(heard > 0 || bytes.is_empty(), "the client is silent");
    tcp.write_all(bytes).await.ok();
    tcp.shutdown().await.ok();
    while tcp.read(&mut hello).await.is_ok_and(|length| length > 0) {}
}

async fn http2(tcp: TcpStream, answer: Answer) {
    let Ok(mut connection) = h2::server::handshake(tcp).await else { return };
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        match answer {
            Answer::Raw(_) => unreachable!(),
            Answer::Http(status) => send(&mut respond, status, "text/html", b"<html>"),
            Answer::Body(body) => send(&mut respond, 200, "application/grpc", body),
            Answer::Trailers(length) => {
                let mut head = response(200, "application/grpc");
                let message = HeaderValue::from_str(&"x".repeat(length)).unwrap();
                let more =
                    [("grpc-status", HeaderValue::from_static("3")), ("grpc-message", message)];
                let more = more.map(|(name, value)| (HeaderName::from_static(name), value));
                head.headers_mut().extend(HeaderMap::from_iter(more));
                respond.send_response(head, true).unwrap();
            }
            Answer::Reset(reason) => respond.send_reset(reason),
            Answer::Cut => return,
        }
    }
}

fn response(status: u16, kind: &'static str) -> Response<()> {
    Response::builder().status(status).header("content-type", kind).body(()).unwrap()
}

fn send(respond: &mut SendResponse<Bytes>, status: u16, kind: &'static str, body: &'static [u8]) {
    let mut stream = respond.send_response(response(status, kind), false).unwrap();
    stream.send_data(Bytes::from_static(body), true).unwrap();
}
