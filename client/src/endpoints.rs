//! The servers of one database, one of which is in use.
//!
//! All calls use one server while it answers. The first call that finds it lost moves all of them to the
//! next one; later calls see that the move was made. There is no timed return to an earlier server: the
//! next loss moves on in the same circle.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};
use tracing::debug;

use crate::Error;
use crate::address::{Address, invalid};
use crate::delay::OnDelay;
use crate::proto::property_service_client::PropertyServiceClient;
use crate::proto::scheduled_job_service_client::ScheduledJobServiceClient;
use crate::proto::scraping_job_service_client::ScrapingJobServiceClient;
use crate::proto::worker_service_client::WorkerServiceClient;

/// Maximum size of a response in bytes. A page of 1,000 runs with hundreds of locations each exceeds tonic's
/// default of 4 MiB.
const RESPONSE_LIMIT: usize = 256 * 1024 * 1024;
/// Maximum size of the headers or trailers of a response in bytes. Beyond it an error of the server would be lost;
/// the default is 16 KiB.
const HEADER_LIMIT: u32 = 1024 * 1024;

/// Transport settings of all servers.
pub(crate) struct Transport {
    pub(crate) connect_timeout: Duration,
    pub(crate) keep_alive_interval: Duration,
    pub(crate) keep_alive_timeout: Duration,
    pub(crate) user_agent: String,
    pub(crate) ca_certificate: Option<Vec<u8>>,
    pub(crate) client_certificate: Option<ClientCertificate>,
    pub(crate) domain_name: Option<String>,
}

/// The certificate of a client. `Debug` hides the key.
#[derive(Clone)]
pub(crate) struct ClientCertificate {
    /// PEM, with the intermediate certificates.
    pub(crate) chain: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(crate) struct Endpoints {
    first: Target,
    others: Vec<Target>,
    /// Number of moves so far; the server in use is this one modulo the number of servers.
    turn: AtomicUsize,
    token: Bearer,
}

#[derive(Debug)]
struct Target {
    address: Address,
    endpoint: Endpoint,
    channel: Channel,
}

/// The server in use at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    address: Address,
    turn: usize,
    channel: AuthorizedChannel,
}

type AuthorizedChannel = InterceptedService<Channel, Bearer>;

impl Endpoints {
    pub(crate) fn new(
        addresses: Vec<Address>,
        transport: &Transport,
        token: Option<MetadataValue<Ascii>>,
    ) -> Result<Self, Error> {
        let mut targets = addresses.into_iter().map(|address| target(address, transport));
        let none = || invalid("", "at least one is required".to_owned());
        let first = targets.next().ok_or_else(none)??;
        let others = targets.collect::<Result<_, _>>()?;
        Ok(Self { first, others, turn: AtomicUsize::new(0), token: Bearer(token) })
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.others.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    pub(crate) fn route(&self) -> Route {
        let turn = self.turn.load(Ordering::Relaxed);
        let target = self.at(turn);
        let channel = InterceptedService::new(target.channel.clone(), self.token.clone());
        Route { address: target.address.clone(), turn, channel }
    }

    /// Moves on to the next server, unless another call did so since `route` was taken.
    pub(crate) fn leave(&self, route: &Route) {
        let next = route.turn.wrapping_add(1);
        let (order, turn) = (Ordering::Relaxed, route.turn);
        if !self.others.is_empty() && self.turn.compare_exchange(turn, next, order, order).is_ok() {
            debug!(server.address = %self.at(next).address, "Moved on from {} to another server", route.address);
        }
    }

    /// Connects to the first server that answers and uses it from now on.
    pub(crate) async fn connect(mut self, on_delay: &OnDelay) -> Result<Self, Error> {
        let (mut last, mut wait) = (None, on_delay.wait());
        let targets = std::iter::once(&mut self.first).chain(&mut self.others);
        for (turn, target) in targets.enumerate() {
            let connecting = Box::pin(target.endpoint.connect());
            match wait.during(target.address.as_str(), connecting).await {
                Ok(channel) => {
                    target.channel = channel;
                    self.turn = AtomicUsize::new(turn);
                    return Ok(self);
                }
                Err(error) => last = Some((target.address.to_string(), error)),
            }
        }
        match last {
            Some((endpoint, error)) => Err(Error::Connect { endpoint, source: Box::new(error) }),
            None => Ok(self),
        }
    }

    fn at(&self, turn: usize) -> &Target {
        let number = turn.checked_rem(self.others.len().saturating_add(1)).unwrap_or(0);
        number.checked_sub(1).and_then(|other| self.others.get(other)).unwrap_or(&self.first)
    }
}

impl Route {
    /// The endpoint as given.
    pub(crate) fn endpoint(&self) -> &str {
        self.address.as_str()
    }

    pub(crate) fn jobs(&self) -> ScheduledJobServiceClient<AuthorizedChannel> {
        let channel = self.channel.clone();
        ScheduledJobServiceClient::new(channel).max_decoding_message_size(RESPONSE_LIMIT)
    }

    pub(crate) fn runs(&self) -> ScrapingJobServiceClient<AuthorizedChannel> {
        let channel = self.channel.clone();
        ScrapingJobServiceClient::new(channel).max_decoding_message_size(RESPONSE_LIMIT)
    }

    pub(crate) fn properties(&self) -> PropertyServiceClient<AuthorizedChannel> {
        let channel = self.channel.clone();
        PropertyServiceClient::new(channel).max_decoding_message_size(RESPONSE_LIMIT)
    }

    pub(crate) fn workers(&self) -> WorkerServiceClient<AuthorizedChannel> {
        let channel = self.channel.clone();
        WorkerServiceClient::new(channel).max_decoding_message_size(RESPONSE_LIMIT)
    }
}

/// Adds the bearer token, if there is one, to each request.
#[derive(Clone, Debug)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

fn target(address: Address, transport: &Transport) -> Result<Target, Error> {
    let endpoint = endpoint(&address, transport)
        .map_err(|error| invalid(address.as_str(), root_cause(&error)))?;
    let of_tls = [
        ("a CA certificate", transport.ca_certificate.is_some()),
        ("a client certificate", transport.client_certificate.is_some()),
    ];
    if let Some((what, _)) = of_tls.iter().find(|(_, is_set)| *is_set && !address.is_tls()) {
        let text = format!("{what} requires TLS; write https://");
        return Err(invalid(address.as_str(), text));
    }
    let channel = endpoint.connect_lazy();
    Ok(Target { address, endpoint, channel })
}

fn endpoint(address: &Address, transport: &Transport) -> Result<Endpoint, tonic::transport::Error> {
    let endpoint = Endpoint::from(address.uri().clone())
        .connect_timeout(transport.connect_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(transport.keep_alive_interval)
        .keep_alive_timeout(transport.keep_alive_timeout)
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(HEADER_LIMIT)
        .user_agent(transport.user_agent.clone())?;
    if address.is_tls() { endpoint.tls_config(tls(transport)) } else { Ok(endpoint) }
}

fn tls(transport: &Transport) -> ClientTlsConfig {
    let config = ClientTlsConfig::new().timeout(transport.connect_timeout);
    let config = match &transport.ca_certificate {
        Some(pem) => config.ca_certificate(Certificate::from_pem(pem)),
        None => config.with_native_roots(),
    };
    let config = match &transport.client_certificate {
        Some(ClientCertificate { chain, key }) => config.identity(Identity::from_pem(chain, key)),
        None => config,
    };
    match &transport.domain_name {
        Some(name) => config.domain_name(name),
        None => config,
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
