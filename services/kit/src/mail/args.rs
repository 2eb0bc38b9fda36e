//! The settings of mail, read from the command line and the environment.

use std::sync::Arc;

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};

use super::{
    Mailer, address,
    ses::Ses,
    smtp::{self, Smtp},
};
use crate::aws::{self, IamArgs};

/// The server that takes mail, and the sender.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(id = "mail")]
#[command(next_help_heading = "Mail")]
pub struct MailArgs {
    /// Server that takes mail; `smtp` where `SMTP_URL` is set, otherwise none
    #[arg(id = "mail_transport", long = "mail-transport", env = "MAIL_TRANSPORT", value_enum)]
    pub transport: Option<Transport>,
    /// Sender: an address, or a name and an address as in `Clinic <clinic@example.org>`
    #[arg(id = "mail_from", long = "mail-from", env = "MAIL_FROM")]
    pub from: Option<String>,
    /// Mail server: `smtp://HOST` (STARTTLS, port 587) or `smtps://HOST` (TLS, port 465); TLS is required except on loopback, or with `?tls=none`
    #[arg(id = "smtp_url", long = "smtp-url", env = "SMTP_URL", hide_env_values = true)]
    pub smtp_url: Option<SecretString>,
    /// Login at the mail server; takes precedence over that of the URL
    #[arg(id = "smtp_username", long = "smtp-username", env = "SMTP_USERNAME")]
    pub smtp_username: Option<String>,
    /// Password of that login
    #[arg(
        id = "smtp_password",
        long = "smtp-password",
        env = "SMTP_PASSWORD",
        hide_env_values = true
    )]
    pub smtp_password: Option<SecretString>,
    /// Identity of this service, for Amazon SES; that of the command line.
    #[arg(skip = aws::identity())]
    pub iam: IamArgs,
}

/// Protocol of the server that takes mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Transport {
    /// No mail leaves this service
    None,
    /// SMTP
    Smtp,
    /// API of Amazon SES
    Ses,
}

impl MailArgs {
    /// Returns what sends mail; `None` without a transport.
    ///
    /// # Errors
    /// If the settings are incomplete or contradict each other. An unreachable server is not an error.
    pub fn mailer(&self) -> anyhow::Result<Option<Arc<dyn Mailer>>> {
        let smtp_url = present(self.smtp_url.as_ref(), |url| url.expose_secret());
        let transport = match (self.transport, smtp_url) {
            (Some(Transport::Ses), Some(_)) => {
                bail!("MAIL_TRANSPORT is `ses`, and SMTP_URL is set too: unset one of them")
            }
            (Some(transport), _) => transport,
            (None, Some(_)) => Transport::Smtp,
            (None, None) => Transport::None,
        };
        if transport == Transport::None {
            return Ok(None);
        }
        let from = present(self.from.as_ref(), String::as_str);
        let from = from.context("mail has no sender: set MAIL_FROM to the address from which this service writes")?;
        let from = address::sender(from)?;
        Ok(Some(match transport {
            Transport::Ses => Arc::new(Ses::new(&self.iam, &from)?),
            Transport::None | Transport::Smtp => {
                let settings = smtp::Settings {
                    url: smtp_url,
                    username: present(self.smtp_username.as_ref(), String::as_str),
                    password: present(self.smtp_password.as_ref(), |password| password.expose_secret()),
                };
                Arc::new(Smtp::new(&settings, from)?)
            }
        }))
    }
}

/// Returns a setting; an empty one counts as missing, because docker-compose and shells pass unset variables on as empty ones.
fn present<T>(setting: Option<&T>, text: impl Fn(&T) -> &str) -> Option<&T> {
    setting.filter(|setting| !text(setting).trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(transport: Option<Transport>, smtp_url: Option<&str>, from: Option<&str>) -> MailArgs {
        MailArgs {
            transport,
            from: from.map(str::to_owned),
            smtp_url: smtp_url.map(SecretString::from),
            iam: IamArgs {
                region: Some("eu-central-1".into()),
                access_key_id: Some("AKIDEXAMPLE".into()),
                secret_access_key: Some("secret".into()),
                ..IamArgs::default()
            },
            ..MailArgs::default()
        }
    }

    #[test]
    fn the_transport_is_that_of_the_settings() {
        let from = Some("clinic@example.org");
        let url = Some("smtp://mail.example.org");
        let has_mailer = |args: MailArgs| args.mailer().expect("valid settings").is_some();
        assert!(!has_mailer(args(None, None, None)));
        assert!(!has_mailer(args(None, Some(""), Some(""))));
        assert!(!has_mailer(args(Some(Transport::None), url, None)));
        assert!(has_mailer(args(None, url, from)));
        assert!(has_mailer(args(Some(Transport::Smtp), url, from)));
        assert!(has_mailer(args(Some(Transport::Ses), None, from)));
    }

    #[test]
    fn contradicting_settings_are_an_error_at_start() {
        let from = Some("clinic@example.org");
        let url = Some("smtp://mail.example.org");
        for (case, args) in [
            ("no URL", args(Some(Transport::Smtp), None, from)),
            ("no sender", args(None, url, None)),
            ("two transports", args(Some(Transport::Ses), url, from)),
            ("no host", args(None, Some("smtp:"), from)),
            ("no scheme of SMTP", args(None, Some("http://mail.example.org"), from)),
            (
                "unknown option",
                args(None, Some("smtp://mail.example.org?tls=maybe"), from),
            ),
            (
                "username without password",
                MailArgs {
                    smtp_username: Some("clinic".into()),
                    ..args(None, url, from)
                },
            ),
            (
                "login without TLS",
                args(None, Some("smtp://clinic:hush@mail.example.org?tls=none"), from),
            ),
            (
                "no region",
                MailArgs {
                    iam: IamArgs::default(),
                    ..args(Some(Transport::Ses), None, from)
                },
            ),
        ] {
            let error = args.mailer().err().unwrap_or_else(|| panic!("{case} is accepted"));
            assert!(!format!("{error:#}").contains("hush"), "{case}: {error:#}");
        }
    }
}
