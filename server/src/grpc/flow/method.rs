//! The methods that a bound treats differently, by their names.

const SERVICES: &str = "/windrow.v1.";
const HEALTH: &str = "/grpc.health.v1.Health/Check";
/// Prefixes of the methods that only read and have one response.
const READING: [&str; 4] = ["Explain", "Get", "List", "Preview"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// Reads from the database and has one response.
    Read,
    /// Reads from the database, and has a page in memory until its client has read the one before.
    Export,
    /// Has a stream of responses. Watches limit their use of the database themselves.
    Watch,
    /// Renews or ends a lease; the first waits for something to happen.
    Heartbeat,
    Finish,
    /// Waits for a run.
    Lease,
    /// Changes something and has one response.
    Change,
    Health,
    /// Has streams of requests and of small responses.
    Submit,
    /// Of another service.
    Other,
}

impl Method {
    pub(super) fn of(path: &str) -> Self {
        if path == HEALTH {
            return Self::Health;
        }
        if !path.starts_with(SERVICES) {
            return Self::Other;
        }
        match path.rsplit('/').next().unwrap_or_default() {
            "Heartbeat" => Self::Heartbeat,
            "FinishScrapingJob" => Self::Finish,
            "LeaseScrapingJobs" => Self::Lease,
            "SubmitProperties" => Self::Submit,
            name if name.starts_with("Export") => Self::Export,
            name if name.starts_with("Watch") => Self::Watch,
            name if READING.iter().any(|prefix| name.starts_with(prefix)) => Self::Read,
            _ => Self::Change,
        }
    }

    pub(super) fn reads(self) -> bool {
        matches!(self, Self::Read | Self::Export)
    }

    /// Such calls take turns. Those that wait for something to happen do not.
    pub(super) fn takes_turns(self) -> bool {
        matches!(self, Self::Read | Self::Export | Self::Change | Self::Finish)
    }

    /// What the call has done may be done again, so its response may be refused.
    pub(super) fn may_be_repeated(self) -> bool {
        // Leases that are lost with a response are returned again.
        matches!(self, Self::Lease)
    }

    pub(super) fn watches(self) -> bool {
        matches!(self, Self::Watch)
    }

    pub(super) fn exports(self) -> bool {
        matches!(self, Self::Export)
    }

    /// The call has one request and one response, which is complete when the handler returns.
    pub(super) fn is_unary(self) -> bool {
        self.has_one_message() && !matches!(self, Self::Export | Self::Watch)
    }

    /// Its responses are so small that they need not wait for room.
    pub(super) fn answers_briefly(self) -> bool {
        matches!(self, Self::Health | Self::Submit)
    }

    /// The handler returns when it has handled the message.
    pub(super) fn has_one_message(self) -> bool {
        !matches!(self, Self::Health | Self::Submit | Self::Other)
    }

    /// The handler keeps nothing of its message, or handles one after another.
    pub(super) fn forgets_messages(self) -> bool {
        matches!(self, Self::Heartbeat | Self::Lease) || !self.has_one_message()
    }

    /// Without such calls runs or servers would count as lost.
    pub(super) fn may_use_reserve(self) -> bool {
        matches!(self, Self::Heartbeat | Self::Finish | Self::Health)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn the_methods_with_one_response_are_those_of_the_contract() {
        let files = FileDescriptorSet::decode(windrow::FILE_DESCRIPTOR_SET).unwrap();
        let services = files.file.iter().flat_map(|file| &file.service);
        let mut count = 0;
        for service in services {
            for method in &service.method {
                let path = format!("/windrow.v1.{}/{}", service.name(), method.name());
                let found = Method::of(&path);
                assert_eq!(found.is_unary(), !method.server_streaming(), "{path}");
                assert!(!found.reads() || !method.client_streaming(), "{path}");
                count += 1;
            }
        }
        assert!(count > 30, "{count}");
    }

    #[test]
    fn lists_read_and_triggers_do_not() {
        let read = |name: &str| Method::of(&format!("/windrow.v1.Any/{name}")).reads();
        assert!(["ListScrapingJobs", "GetProperty", "ExportProperties"].into_iter().all(read));
        assert!(!["TriggerJob", "LeaseScrapingJobs", "Heartbeat"].into_iter().any(read));
        assert!(Method::of("/grpc.health.v1.Health/Check").may_use_reserve());
    }
}
