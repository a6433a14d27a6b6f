//! Responses that are not those of a Windrow server, as tonic reports them: by their texts, because it has no types
//! for them. The tests produce each of them for real.

use tonic::{Code, Status};

const HTTP_STATUS: &str = "grpc-status header missing, mapped from HTTP status code ";
/// In the text about a response that is no gRPC, before its HTTP status.
const OF_RESPONSE: &str = "while receiving response with status: ";
/// The beginnings of the texts about responses that are cut or no gRPC.
const NO_GRPC: [&str; 3] = [
    "protocol error: received message with",
    "Unexpected EOF decoding stream",
    "Error decompressing",
];
const NO_TRAILERS: &str = "protocol error: missing grpc-status trailer";
const NO_MESSAGE: &str = "failed to decode Protobuf message";

/// True if a proxy answered because it does not reach the server.
pub(crate) fn is_unreached(status: &Status) -> bool {
    http_status(status).is_some_and(|http| ["502", "503", "504"].contains(&http))
}

/// The code, the response and what to do, if it is not one of Windrow.
pub(super) fn description(status: &Status) -> Option<(Code, String)> {
    if let Some(http) = http_status(status) {
        let (code, advice) = of_http(http);
        return Some((code, format!("HTTP {http} without a gRPC status; {advice}")));
    }
    let text = status.message();
    let known = if NO_GRPC.iter().any(|start| text.starts_with(start)) {
        "it is no gRPC; correct the address, or the proxy at it".to_owned()
    } else if text.starts_with(NO_TRAILERS) {
        "it was cut; if a proxy is in between, let it forward the trailers of HTTP/2".to_owned()
    } else if text.starts_with(NO_MESSAGE) {
        format!("{text}; use the same version of client and server")
    } else {
        return None;
    };
    Some((status.code(), known))
}

/// Other than 200.
fn http_status(status: &Status) -> Option<&str> {
    let text = status.message();
    let of_response = || text.split_once(OF_RESPONSE).map(|(_, http)| http);
    let http = text.strip_prefix(HTTP_STATUS).or_else(of_response)?.split(' ').next()?;
    Some(http).filter(|http| *http != "200")
}

fn of_http(status: &str) -> (Code, &'static str) {
    match status {
        "401" => (Code::Unauthenticated, "a proxy at this address rejects the call"),
        "403" => (Code::PermissionDenied, "a proxy at this address rejects the call"),
        "404" => (Code::Unimplemented, "correct the address, or let the proxy at it forward gRPC"),
        "429" => (Code::Unavailable, "a proxy at this address limits the calls; try again later"),
        "502" | "503" | "504" => {
            (Code::Unavailable, "a proxy at this address does not reach the server")
        }
        _ => (Code::Unknown, "correct the address, or the proxy at it"),
    }
}
