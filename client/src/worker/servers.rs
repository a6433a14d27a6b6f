//! The servers that a worker may call. All of them serve one database, so any one takes any call: when
//! one stops or does not answer, the worker goes on with the next.

use std::sync::atomic::{AtomicUsize, Ordering};

use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use windrow_worker::LinkError;

use crate::proto::worker_service_client::WorkerServiceClient;
use crate::{Client, Error};

pub(super) struct Servers {
    first: Client,
    others: Vec<Client>,
    current: AtomicUsize,
}

/// The server of one call.
pub(super) struct Called<'a> {
    servers: &'a Servers,
    place: usize,
}

impl Servers {
    pub(super) fn new(first: Client, others: Vec<Client>) -> Self {
        Self { first, others, current: AtomicUsize::new(0) }
    }

    /// The server that calls go to now.
    pub(super) fn current(&self) -> Called<'_> {
        Called { servers: self, place: self.current.load(Ordering::Relaxed) }
    }
}

impl Called<'_> {
    pub(super) fn workers(&self) -> WorkerServiceClient<Channel> {
        self.client().workers.clone()
    }

    /// The next calls go to another server, if there is one. Of several calls to this one, the first
    /// that says so decides.
    pub(super) fn leave(&self) {
        let next = (self.place + 1) % (self.servers.others.len() + 1);
        let current = &self.servers.current;
        let left = current.compare_exchange(self.place, next, Ordering::Relaxed, Ordering::Relaxed);
        if left.is_ok() && next != self.place {
            let (here, there) = (self.client().server(), self.servers.current());
            tracing::info!("Goes on with server {} instead of {here}", there.client().server());
        }
    }

    /// What a call gave; one that found nobody leaves the server.
    pub(super) fn answer<T>(&self, answer: Result<Response<T>, Status>) -> Result<T, LinkError> {
        answer.map(Response::into_inner).map_err(|status| self.failed(status))
    }

    pub(super) fn failed(&self, status: Status) -> LinkError {
        let error = Error::from_status(self.client().server(), status);
        if matches!(error.reason(), Some("LEASE_LOST" | "RUN_NOT_FOUND")) {
            return LinkError::LeaseLost;
        }
        match error.code() {
            Code::InvalidArgument
            | Code::NotFound
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::Unimplemented => LinkError::Refused(Box::new(error)),
            _ => {
                self.leave();
                LinkError::Transient(Box::new(error))
            }
        }
    }

    fn client(&self) -> &Client {
        let other = self.place.checked_sub(1).and_then(|place| self.servers.others.get(place));
        other.unwrap_or(&self.servers.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers() -> Servers {
        let client = |address| Client::connect_lazy(address).unwrap();
        Servers::new(client("first:1"), vec![client("second:1")])
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_left_and_one_that_refuses_is_not() {
        let servers = servers();
        let called = servers.current();
        let refused = called.failed(Status::invalid_argument("no"));
        assert!(matches!(refused, LinkError::Refused(_)));
        assert_eq!(servers.current().client().server(), "first:1");
        let lost = called.failed(Status::unavailable("gone"));
        assert!(matches!(lost, LinkError::Transient(_)));
        assert_eq!(servers.current().client().server(), "second:1");
    }

    #[tokio::test]
    async fn calls_that_fail_together_leave_a_server_once() {
        let servers = servers();
        let (one, other) = (servers.current(), servers.current());
        one.leave();
        other.leave();
        assert_eq!(servers.current().client().server(), "second:1");
        servers.current().leave();
        assert_eq!(servers.current().client().server(), "first:1");
    }
}
