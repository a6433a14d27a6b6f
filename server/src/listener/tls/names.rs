//! What certificates say: whom they name, and until when they are valid.

use std::fmt;

use chrono::{DateTime, Utc};
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

/// The certificate of a client, signed by an authority of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientCertificate {
    /// The common name of its subject.
    pub(crate) common_name: Option<String>,
    /// Its alternative names: DNS names, e-mail addresses and URIs.
    pub(crate) names: Vec<String>,
}

impl ClientCertificate {
    /// A certificate that cannot be read names nobody.
    pub(crate) fn read(certificate: &CertificateDer<'_>) -> Self {
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
            return Self::default();
        };
        let common_name = parsed.subject().iter_common_name().find_map(|name| name.as_str().ok());
        let alternative = parsed.subject_alternative_name().ok().flatten();
        let names = alternative.iter().flat_map(|extension| &extension.value.general_names);
        Self {
            common_name: common_name.map(str::to_owned),
            names: names.filter_map(text).collect(),
        }
    }
}

/// The common name, else the first alternative name.
impl fmt::Display for ClientCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.common_name.as_ref().or(self.names.first());
        formatter.write_str(name.map_or("unnamed", String::as_str))
    }
}

fn text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
            Some((*text).to_owned())
        }
        _ => None,
    }
}

/// The end of the validity; `None` if this is no certificate.
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Option<DateTime<Utc>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    DateTime::from_timestamp(parsed.validity().not_after.timestamp(), 0)
}
