//! Mail over SMTP (RFC 5321), a connection for each message.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use anyhow::{Context, bail, ensure};
use async_trait::async_trait;
use lettre::{
    Message,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, TlsParameters},
        extension::ClientId,
    },
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;
use url::{Host, Url};

use super::{Mail, MailError, Mailer, address};

/// Timeout of the connection, and of each response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of a message.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Mechanisms for the login, over TLS only.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

/// A mail server.
pub(super) struct Smtp {
    from: Mailbox,
    host: String,
    port: u16,
    tls: Encryption,
    login: Option<Login>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Encryption {
    /// From the first byte (`smtps://`).
    Implicit,
    /// After STARTTLS, and an error where the server does not offer it.
    StartTls,
    None,
}

/// The settings of a server; those that are empty are missing.
pub(super) struct Settings<'a> {
    pub url: Option<&'a SecretString>,
    pub username: Option<&'a String>,
    pub password: Option<&'a SecretString>,
}

struct Login {
    username: String,
    password: SecretString,
}

impl Smtp {
    /// Reads the address and the login; neither is quoted in an error.
    pub(super) fn new(settings: &Settings<'_>, from: Mailbox) -> anyhow::Result<Self> {
        let url = settings
            .url
            .context("mail has no server: set SMTP_URL to smtp://HOST or smtps://HOST, or unset MAIL_TRANSPORT")?;
        let url = Url::parse(url.expose_secret())
            .ok()
            .context("SMTP_URL is not a URL: set it to smtp://HOST or smtps://HOST")?;
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.context("SMTP_URL has no host: set it to smtp://HOST or smtps://HOST")?;
        let options: Vec<_> = url.query_pairs().collect();
        let option = options.first().map(|(name, value)| (name.as_ref(), value.as_ref()));
        ensure!(options.len() < 2, "SMTP_URL has more than one option; it knows `tls`");
        let (tls, port) = match (url.scheme(), option) {
            ("smtps", None) => (Encryption::Implicit, 465),
            ("smtp", Some(("tls", "none"))) => (Encryption::None, 587),
            ("smtp", None) if is_loopback(host) => (Encryption::None, 587),
            ("smtp", None | Some(("tls", "required"))) => (Encryption::StartTls, 587),
            ("smtp" | "smtps", _) => {
                bail!("SMTP_URL has an unknown option: smtp:// knows `tls=required` and `tls=none`")
            }
            _ => bail!("SMTP_URL has an unknown scheme: set it to smtp://HOST or smtps://HOST"),
        };
        let login = login(settings, &url)?;
        ensure!(
            login.is_none() || tls != Encryption::None || is_loopback(host),
            "the password of the mail server would be sent without TLS: remove `tls=none` from SMTP_URL"
        );
        Ok(Self {
            from,
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(port),
            tls,
            login,
        })
    }

    async fn deliver(&self, mail: &Mail) -> Result<(), MailError> {
        let message = message(&self.from, mail)?;
        let mut connection = self.connect().await.map_err(|error| unavailable(&error))?;
        let sent = connection.send(message.envelope(), &message.formatted()).await;
        // The server has answered for the message; it does not matter how the connection ends.
        connection.abort().await;
        sent.map(drop).map_err(|error| {
            if error.is_permanent() {
                MailError::Refused(describe(&error))
            } else if error.is_client() {
                MailError::Refused("the server does not support addresses with non-ASCII characters".to_owned())
            } else {
                unavailable(&error)
            }
        })
    }

    /// Connects and logs in. A refusal here is of this service rather than of a message.
    async fn connect(&self) -> Result<AsyncSmtpConnection, lettre::transport::smtp::Error> {
        let parameters = || TlsParameters::new(self.host.clone());
        let name = ClientId::default();
        let implicit = (self.tls == Encryption::Implicit).then(parameters).transpose()?;
        let server = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(RESPONSE_TIMEOUT), &name, implicit, None).await?;
        if self.tls == Encryption::StartTls {
            connection.starttls(parameters()?, &name).await?;
        }
        if let Some(Login { username, password }) = &self.login {
            let credentials = Credentials::new(username.clone(), password.expose_secret().to_owned());
            connection.auth(&MECHANISMS, &credentials).await?;
        }
        Ok(connection)
    }
}

#[async_trait]
impl Mailer for Smtp {
    fn transport(&self) -> &'static str {
        "smtp"
    }

    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let delivery = timeout(TIMEOUT, self.deliver(mail)).await;
        delivery.unwrap_or_else(|_| Err(MailError::Unavailable("no response within 20 s".to_owned())))
    }
}

/// Returns the login of the settings, otherwise that of the URL.
fn login(settings: &Settings<'_>, url: &Url) -> anyhow::Result<Option<Login>> {
    let decode = |text: &str| {
        let text = percent_encoding::percent_decode_str(text).decode_utf8().ok();
        text.map(String::from).context("the login in SMTP_URL is not UTF-8")
    };
    match (settings.username, settings.password) {
        (Some(username), Some(password)) => Ok(Some(Login {
            username: username.clone(),
            password: password.clone(),
        })),
        (None, None) if url.username().is_empty() => Ok(None),
        (None, None) => Ok(Some(Login {
            username: decode(url.username())?,
            password: decode(url.password().context("the login in SMTP_URL has no password")?)?.into(),
        })),
        _ => bail!("the login at the mail server is incomplete: set both SMTP_USERNAME and SMTP_PASSWORD, or neither"),
    }
}

fn is_loopback(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Domain(domain)) => domain == "localhost" || domain.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        Ok(Host::Ipv4(ip)) => ip.is_loopback(),
        Ok(Host::Ipv6(ip)) => ip.is_loopback(),
        Err(_) => false,
    }
}

/// Composes the message (RFC 5322); values of headers are encoded, so that none begins another header.
fn message(from: &Mailbox, mail: &Mail) -> Result<Message, MailError> {
    let to = address::recipient(&mail.to)?;
    Message::builder()
        .message_id(Some(format!("<{}@{}>", mail.message_id, from.email.domain())))
        .date(SystemTime::now())
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(address::one_line(&mail.subject))
        // So that an automatic reply is not sent to it (RFC 3834).
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ))
        .header(ContentType::TEXT_PLAIN)
        .body(mail.body.clone())
        .map_err(|_| MailError::Refused("the message cannot be composed".to_owned()))
}

fn unavailable(error: &lettre::transport::smtp::Error) -> MailError {
    MailError::Unavailable(describe(error))
}

/// Describes an error without the text of the server, which may quote the recipient.
fn describe(error: &lettre::transport::smtp::Error) -> String {
    if let Some(code) = error.status() {
        format!("the server responded with {code}")
    } else if error.is_timeout() {
        "no response within 10 s".to_owned()
    } else if error.is_tls() {
        "no TLS connection; check the certificate of the server, and the scheme and port of SMTP_URL".to_owned()
    } else if error.is_client() {
        "the server does not offer STARTTLS or the login; check the scheme and port of SMTP_URL".to_owned()
    } else if error.is_response() {
        "the response is not SMTP; check the scheme and port of SMTP_URL".to_owned()
    } else {
        "the connection failed or was closed".to_owned()
    }
}
