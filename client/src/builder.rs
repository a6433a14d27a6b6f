//! Settings of a client, all with defaults fit for production.

use std::fmt;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tower::retry::budget::TpsBudget;

use crate::address::{Address, Plaintext};
use crate::client::Limits;
use crate::delay::{Delay, OnDelay};
use crate::endpoints::{ClientCertificate, Endpoints, Transport};
use crate::{Client, Error};

/// Default of [`ClientBuilder::timeout`]: 30 seconds.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Default of [`ClientBuilder::connect_timeout`]: 5 seconds.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Default of [`ClientBuilder::stream_idle_timeout`]: 30 seconds. A server sends a bookmark on an idle stream every ten
/// seconds: three of them are missing.
pub const DEFAULT_STREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Default of [`ClientBuilder::http2_keep_alive_interval`]: 20 seconds.
pub const DEFAULT_HTTP2_KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// Default of [`ClientBuilder::keep_alive_timeout`]: 10 seconds.
pub const DEFAULT_KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The time over which [`RetryBudget::percent`] is taken.
const BUDGET_WINDOW: Duration = Duration::from_secs(10);
/// A higher number would be no limit.
const MAX_RETRIES_PER_SECOND: u32 = 100_000;

/// Limit on the retries of a client and all its clones together, so that they cannot multiply the load of a
/// server in trouble. The first connection to another server costs nothing.
///
/// ```
/// use windrow_client::{Client, RetryBudget};
///
/// let never = RetryBudget { per_second: 0, percent: 0 };
/// let cautious = RetryBudget { percent: 5, ..RetryBudget::default() };
/// let builder = Client::builder().endpoint("127.0.0.1:50051").retry_budget(cautious);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// Retries per second that are always allowed. Default 10.
    pub per_second: u32,
    /// Further retries, in percent of the calls of the last ten seconds. Default 20.
    pub percent: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { per_second: 10, percent: 20 }
    }
}

impl RetryBudget {
    fn build(self) -> TpsBudget {
        // Beyond these bounds the budget would panic.
        let share = f32::from(u16::try_from(self.percent.min(1_000)).unwrap_or(1_000)) / 100.0;
        TpsBudget::new(BUDGET_WINDOW, self.per_second.min(MAX_RETRIES_PER_SECOND), share)
    }
}

/// Builder of a [`Client`]; see [`Client::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder {
    endpoints: Vec<String>,
    bearer_token: Option<Secret>,
    plaintext: Plaintext,
    ca_certificate: Option<Vec<u8>>,
    client_certificate: Option<ClientCertificate>,
    domain_name: Option<String>,
    connect_timeout: Duration,
    limits: Limits,
    keep_alive_interval: Duration,
    keep_alive_timeout: Duration,
    user_agent: Option<String>,
    retry_budget: RetryBudget,
    on_delay: OnDelay,
}

impl ClientBuilder {
    pub(crate) fn new() -> Self {
        Self {
            endpoints: Vec::new(),
            bearer_token: None,
            plaintext: Plaintext::WithoutToken,
            ca_certificate: None,
            client_certificate: None,
            domain_name: None,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            limits: Limits {
                timeout: DEFAULT_TIMEOUT,
                stream_idle_timeout: DEFAULT_STREAM_IDLE_TIMEOUT,
            },
            keep_alive_interval: DEFAULT_HTTP2_KEEP_ALIVE_INTERVAL,
            keep_alive_timeout: DEFAULT_KEEP_ALIVE_TIMEOUT,
            user_agent: None,
            retry_budget: RetryBudget::default(),
            on_delay: OnDelay::default(),
        }
    }

    /// Adds a server: `127.0.0.1:50051`, `http://windrow:50051`, or `https://windrow.example.com` for TLS.
    /// May be called repeatedly, and a comma separates several. All servers must use the same database.
    ///
    /// The client uses the first server that answers, stays with it, and moves on to the next one when it
    /// fails.
    pub fn endpoint(mut self, endpoint: impl AsRef<str>) -> Self {
        self.endpoints.extend(endpoint.as_ref().split(',').map(|one| one.trim().to_owned()));
        self
    }

    /// Sends this bearer token with every call. Rejected over plaintext to another machine; see
    /// [`ClientBuilder::bearer_token_over_plaintext`].
    pub fn bearer_token(self, token: impl Into<String>) -> Self {
        Self { bearer_token: Some(Secret(token.into())), ..self }
    }

    /// Allows sending the bearer token without TLS, for networks that are private by other means.
    pub fn bearer_token_over_plaintext(self) -> Self {
        Self { plaintext: Plaintext::WithToken, ..self }
    }

    /// Trusts only certificates signed by these (PEM). Default: the system's trusted certificates.
    pub fn ca_certificate(self, pem: impl Into<Vec<u8>>) -> Self {
        Self { ca_certificate: Some(pem.into()), ..self }
    }

    /// Proves with this certificate who the client is, for servers that ask for one (PEM, with its private key).
    pub fn client_certificate(
        self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        let certificate = ClientCertificate { chain: certificate.into(), key: key.into() };
        Self { client_certificate: Some(certificate), ..self }
    }

    /// Expects this name in the servers' certificates. Default: the host of the endpoint.
    pub fn domain_name(self, domain_name: impl Into<String>) -> Self {
        Self { domain_name: Some(domain_name.into()), ..self }
    }

    /// Time limit for establishing a connection. Default: [`DEFAULT_CONNECT_TIMEOUT`].
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// Time limit of a unary call including its retries, and of opening a stream. Sent to the server as
    /// `grpc-timeout` as well. Default: [`DEFAULT_TIMEOUT`].
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { limits: Limits { timeout, ..self.limits }, ..self }
    }

    /// Reconnects a watch or export that received nothing for this long. Default:
    /// [`DEFAULT_STREAM_IDLE_TIMEOUT`].
    pub fn stream_idle_timeout(self, stream_idle_timeout: Duration) -> Self {
        Self { limits: Limits { stream_idle_timeout, ..self.limits }, ..self }
    }

    /// Pause between HTTP/2 pings on an idle connection. Default:
    /// [`DEFAULT_HTTP2_KEEP_ALIVE_INTERVAL`].
    pub fn http2_keep_alive_interval(self, interval: Duration) -> Self {
        Self { keep_alive_interval: interval, ..self }
    }

    /// Closes a connection whose ping is not answered for this long. Default:
    /// [`DEFAULT_KEEP_ALIVE_TIMEOUT`].
    pub fn keep_alive_timeout(self, timeout: Duration) -> Self {
        Self { keep_alive_timeout: timeout, ..self }
    }

    /// Identifies the program to the server, for example `my-crawler/2.1`. It is sent after
    /// `windrow-client/VERSION`.
    pub fn user_agent(self, user_agent: impl Into<String>) -> Self {
        Self { user_agent: Some(user_agent.into()), ..self }
    }

    /// Limits retries; see [`RetryBudget`].
    pub fn retry_budget(self, retry_budget: RetryBudget) -> Self {
        Self { retry_budget, ..self }
    }

    /// Calls this when connecting, a unary call, the opening of a watch or a step of an export takes more than a
    /// second, and again when its reason changes. For programs with a person in front of them.
    ///
    /// ```
    /// # let builder = windrow_client::Client::builder();
    /// let builder = builder.on_delay(|delay| println!("waiting for {}", delay.endpoint));
    /// ```
    pub fn on_delay(self, report: impl Fn(&Delay<'_>) + Send + Sync + 'static) -> Self {
        Self { on_delay: OnDelay::new(report), ..self }
    }

    /// Connects to the first server that answers.
    pub async fn connect(self) -> Result<Client, Error> {
        let endpoints = self.endpoints()?.connect(&self.on_delay).await?;
        Ok(self.over(endpoints))
    }

    /// Connects with the first call. Must be called within a Tokio runtime.
    pub fn connect_lazy(self) -> Result<Client, Error> {
        let endpoints = self.endpoints()?;
        Ok(self.over(endpoints))
    }

    fn endpoints(&self) -> Result<Endpoints, Error> {
        let token = self.bearer_token.as_ref().map(Secret::bearer).transpose()?;
        let transport = Transport {
            connect_timeout: self.connect_timeout,
            keep_alive_interval: self.keep_alive_interval,
            keep_alive_timeout: self.keep_alive_timeout,
            user_agent: user_agent(self.user_agent.as_deref()),
            ca_certificate: self.ca_certificate.clone(),
            client_certificate: self.client_certificate.clone(),
            domain_name: self.domain_name.clone(),
        };
        let plaintext = if token.is_some() { self.plaintext } else { Plaintext::WithToken };
        let addresses = self.endpoints.iter().map(|one| Address::parse(one, plaintext));
        Endpoints::new(addresses.collect::<Result<_, _>>()?, &transport, token)
    }

    fn over(self, endpoints: Endpoints) -> Client {
        Client::over(endpoints, self.limits, self.retry_budget.build(), self.on_delay)
    }
}

/// A bearer token, hidden in `Debug`.
#[derive(Clone)]
struct Secret(String);

impl Secret {
    fn bearer(&self) -> Result<MetadataValue<Ascii>, Error> {
        let value = format!("Bearer {}", self.0).parse::<MetadataValue<Ascii>>();
        let mut value = value.map_err(|_| Error::InvalidBearerToken)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

fn user_agent(program: Option<&str>) -> String {
    let library = concat!("windrow-client/", env!("CARGO_PKG_VERSION"));
    program.map_or_else(|| library.to_owned(), |program| format!("{library} {program}"))
}

#[cfg(test)]
mod tests {
    use tower::retry::budget::Budget;

    use super::*;

    #[test]
    fn debug_output_hides_the_bearer_token() {
        let text = format!("{:?}", Client::builder().bearer_token("hush"));
        assert!(text.contains("***") && !text.contains("hush"), "{text}");
    }

    #[tokio::test]
    async fn a_bearer_token_that_no_header_can_carry_is_rejected() {
        let builder = Client::builder().endpoint("127.0.0.1:1").bearer_token("a\nb");
        let rejected = builder.connect_lazy();
        assert!(matches!(rejected, Err(Error::InvalidBearerToken)), "{rejected:?}");
    }

    #[test]
    fn a_zero_budget_allows_no_retry_and_no_number_is_too_large() {
        let budget = |per_second, percent| RetryBudget { per_second, percent }.build();
        assert!(!budget(0, 0).withdraw());
        assert!(budget(u32::MAX, u32::MAX).withdraw());
        let small = budget(0, 50);
        (0..4).for_each(|_| small.deposit());
        assert_eq!([small.withdraw(), small.withdraw(), small.withdraw()], [true, true, false]);
    }

    #[test]
    fn the_user_agent_names_library_and_program() {
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(user_agent(None), format!("windrow-client/{version}"));
        assert_eq!(user_agent(Some("a/1")), format!("windrow-client/{version} a/1"));
    }
}
