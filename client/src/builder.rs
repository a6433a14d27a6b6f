//! What a client is told before it connects. Everything has a default that is fit for production.

use std::fmt;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tower::retry::budget::TpsBudget;

use crate::address::{Address, Plaintext};
use crate::client::Limits;
use crate::endpoints::{Endpoints, Transport};
use crate::{Client, Error, SILENCE};

/// A unary call ends after this time, its retries included.
pub const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// A connection is made within this time.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A silent connection is asked for a sign of life so often, and given up without one.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// Retries each second that need no successful calls beside them, and the share of all calls of the last
/// ten seconds that may be retried on top.
const RETRY_BUDGET: (u32, u32) = (10, 20);
/// What the budget looks back on.
const BUDGET_WINDOW: Duration = Duration::from_secs(10);
/// More would be no limit.
const MAX_RETRIES_PER_SECOND: u32 = 100_000;

/// Makes a [`Client`]; see [`Client::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder {
    servers: Vec<String>,
    token: Option<Secret>,
    plaintext: Plaintext,
    ca_certificate: Option<Vec<u8>>,
    tls_name: Option<String>,
    connect_timeout: Duration,
    limits: Limits,
    keep_alive: (Duration, Duration),
    application: Option<String>,
    retry_budget: (u32, u32),
}

impl ClientBuilder {
    pub(crate) fn new() -> Self {
        Self {
            servers: Vec::new(),
            token: None,
            plaintext: Plaintext::WithoutToken,
            ca_certificate: None,
            tls_name: None,
            connect_timeout: CONNECT_TIMEOUT,
            limits: Limits { deadline: CALL_DEADLINE, silence: SILENCE },
            keep_alive: KEEP_ALIVE,
            application: None,
            retry_budget: RETRY_BUDGET,
        }
    }

    /// Adds a server: `127.0.0.1:50051`, `http://windrow:50051`, or `https://windrow.example.com` for TLS;
    /// a comma separates several. All of them must serve the same database. The first is used while it
    /// answers, then the next one, and that is kept to.
    pub fn server(mut self, server: impl AsRef<str>) -> Self {
        self.servers.extend(server.as_ref().split(',').map(|server| server.trim().to_owned()));
        self
    }

    /// Sends a bearer token with every call. Refused over plaintext to another machine; see
    /// [`ClientBuilder::token_over_plaintext`].
    pub fn token(self, token: impl Into<String>) -> Self {
        Self { token: Some(Secret(token.into())), ..self }
    }

    /// Lets the token be sent without TLS, where something else keeps the network private.
    pub fn token_over_plaintext(self) -> Self {
        Self { plaintext: Plaintext::WithToken, ..self }
    }

    /// Trusts the certificates that these ones (PEM) have signed, and no others. Without it, what this
    /// machine trusts.
    pub fn ca_certificate(self, pem: impl Into<Vec<u8>>) -> Self {
        Self { ca_certificate: Some(pem.into()), ..self }
    }

    /// Expects this name in the servers' certificates instead of the one in their address.
    pub fn tls_name(self, name: impl Into<String>) -> Self {
        Self { tls_name: Some(name.into()), ..self }
    }

    /// How long a connection may take to be made: [`CONNECT_TIMEOUT`].
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// How long a unary call may take with all its retries: [`CALL_DEADLINE`]. The server hears of it too.
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { limits: Limits { deadline, ..self.limits }, ..self }
    }

    /// A watch or export that is silent for so long is taken up again: [`SILENCE`]. Servers bookmark a watch
    /// without news every ten seconds.
    pub fn silence(self, silence: Duration) -> Self {
        Self { limits: Limits { silence, ..self.limits }, ..self }
    }

    /// Interest a silent connection for a sign of life so often (20 seconds), and gives it up without one
    /// (after 10 more).
    pub fn keep_alive(self, interval: Duration, timeout: Duration) -> Self {
        Self { keep_alive: (interval, timeout), ..self }
    }

    /// Names the program to the server, for example `my-crawler/2.1`: the user agent becomes
    /// `windrow-client/VERSION my-crawler/2.1`.
    pub fn application(self, name: impl Into<String>) -> Self {
        Self { application: Some(name.into()), ..self }
    }

    /// Limits the retries of all clones together, so that they cannot multiply the load of a server in
    /// trouble: so many each second (10), and in addition this share of the calls in percent (20). With
    /// `(0, 0)` nothing is retried. Another server that was never reached costs nothing.
    pub fn retry_budget(self, per_second: u32, percent: u32) -> Self {
        Self { retry_budget: (per_second, percent), ..self }
    }

    /// Connects to the first server that answers.
    pub async fn connect(self) -> Result<Client, Error> {
        let endpoints = self.endpoints()?.connect().await?;
        Ok(self.over(endpoints))
    }

    /// The first call connects. Needs a Tokio runtime around it.
    pub fn connect_lazy(self) -> Result<Client, Error> {
        let endpoints = self.endpoints()?;
        Ok(self.over(endpoints))
    }

    fn endpoints(&self) -> Result<Endpoints, Error> {
        let token = self.token.as_ref().map(Secret::bearer).transpose()?;
        let transport = Transport {
            connect_timeout: self.connect_timeout,
            keep_alive: self.keep_alive,
            user_agent: user_agent(self.application.as_deref()),
            ca_certificate: self.ca_certificate.clone(),
            tls_name: self.tls_name.clone(),
        };
        let plaintext = if token.is_some() { self.plaintext } else { Plaintext::WithToken };
        let addresses = self.servers.iter().map(|server| Address::parse(server, plaintext));
        Endpoints::new(addresses.collect::<Result<_, _>>()?, &transport, token)
    }

    fn over(self, endpoints: Endpoints) -> Client {
        Client::over(endpoints, self.limits, budget(self.retry_budget))
    }
}

/// Does not show itself.
#[derive(Clone)]
struct Secret(String);

impl Secret {
    fn bearer(&self) -> Result<MetadataValue<Ascii>, Error> {
        let value = format!("Bearer {}", self.0).parse::<MetadataValue<Ascii>>();
        let mut value = value.map_err(|_| Error::InvalidToken)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

fn user_agent(application: Option<&str>) -> String {
    let own = concat!("windrow-client/", env!("CARGO_PKG_VERSION"));
    application.map_or_else(|| own.to_owned(), |application| format!("{own} {application}"))
}

fn budget((per_second, percent): (u32, u32)) -> TpsBudget {
    // Beyond these bounds the budget would panic.
    let share = f32::from(u16::try_from(percent.min(1_000)).unwrap_or(1_000)) / 100.0;
    TpsBudget::new(BUDGET_WINDOW, per_second.min(MAX_RETRIES_PER_SECOND), share)
}

#[cfg(test)]
mod tests {
    use tower::retry::budget::Budget;

    use super::*;

    #[test]
    fn a_token_does_not_show() {
        let shown = format!("{:?}", Client::builder().token("hush"));
        assert!(shown.contains("***") && !shown.contains("hush"), "{shown}");
    }

    #[tokio::test]
    async fn a_token_that_no_header_can_carry_is_refused() {
        let refused = Client::builder().server("127.0.0.1:1").token("a\nb").connect_lazy();
        assert!(matches!(refused, Err(Error::InvalidToken)), "{refused:?}");
    }

    #[test]
    fn a_budget_of_nothing_gives_nothing_and_no_number_is_too_large() {
        assert!(!budget((0, 0)).withdraw());
        assert!(budget((u32::MAX, u32::MAX)).withdraw());
        let small = budget((0, 50));
        (0..4).for_each(|_| small.deposit());
        assert_eq!([small.withdraw(), small.withdraw(), small.withdraw()], [true, true, false]);
    }

    #[test]
    fn the_user_agent_names_client_and_application() {
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(user_agent(None), format!("windrow-client/{version}"));
        assert_eq!(user_agent(Some("a/1")), format!("windrow-client/{version} a/1"));
    }
}
