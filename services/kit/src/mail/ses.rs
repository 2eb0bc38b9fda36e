//! Mail through Amazon SES: `SendEmail` of the API v2.

use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use http::StatusCode;
use lettre::message::Mailbox;
use serde_json::json;
use tokio::time::timeout;

use super::{Mail, MailError, Mailer, address};
use crate::aws::{Api, ApiError, IamArgs, Source};

/// Timeout of one request.
const TIMEOUT: Duration = Duration::from_secs(20);
const PATH: &str = "/v2/email/outbound-emails";
/// Errors for the message or the recipient; all others are of the account, of the settings or of the moment.
const REFUSALS: [&str; 2] = ["MessageRejected", "BadRequestException"];

/// Amazon SES in a region.
pub(super) struct Ses {
    api: Api,
    from: String,
}

impl Ses {
    /// Selects the region, the endpoint and the credentials.
    pub(super) fn new(args: &IamArgs, from: &Mailbox) -> anyhow::Result<Self> {
        let region = args.region.as_deref();
        let region = region.context("Amazon SES has no region: set AWS_REGION, which ECS sets for a task")?;
        let url = args.ses_url.as_ref().or(args.endpoint_url.as_ref());
        let url = url.map_or_else(|| format!("https://email.{region}.amazonaws.com"), Clone::clone);
        let source = Source::from_args(args)?;
        let api = Api::new("ses", region, &url, source)?;
        let api = api.with_context(|| {
            format!("`{url}` is not the URL of Amazon SES; check AWS_ENDPOINT_URL_SESV2 and AWS_ENDPOINT_URL")
        })?;
        Ok(Self {
            api,
            from: address::header(from),
        })
    }

    async fn request(&self, mail: &Mail) -> Result<(), MailError> {
        let to = address::recipient(&mail.to)?;
        let text = |data: &str| json!({ "Data": data, "Charset": "UTF-8" });
        let body = json!({
            "FromEmailAddress": self.from,
            "Destination": { "ToAddresses": [to.to_string()] },
            "Content": { "Simple": {
                "Subject": text(&address::one_line(&mail.subject)),
                "Body": { "Text": text(&mail.body) },
                // So that an automatic reply is not sent to it (RFC 3834).
                "Headers": [{ "Name": "Auto-Submitted", "Value": "auto-generated" }],
            } },
        });
        let headers = [("content-type", "application/json")];
        let response = self.api.post(PATH, &headers, body.to_string()).await;
        let response = response.map_err(|error| MailError::Unavailable(describe(&error)))?;
        if response.status() == StatusCode::OK {
            return Ok(());
        }
        let kind = response.headers().get("x-amzn-errortype");
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split([':', '#']).next().unwrap_or_default();
        // An identity that is not verified is an error of the settings, under the code for a message.
        let text = String::from_utf8_lossy(response.body());
        let reason = format!("Amazon SES responded with {} {kind}", response.status().as_u16());
        Err(match kind {
            "MessageRejected" if text.contains("not verified") => {
                MailError::Unavailable(format!("{reason}: verify the identity of MAIL_FROM in this region"))
            }
            kind if REFUSALS.contains(&kind) => MailError::Refused(reason),
            "AccessDeniedException" => MailError::Unavailable(format!(
                "{reason}: the task role needs ses:SendEmail on the identity of MAIL_FROM"
            )),
            _ => MailError::Unavailable(reason),
        })
    }
}

#[async_trait]
impl Mailer for Ses {
    fn transport(&self) -> &'static str {
        "ses"
    }

    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let request = timeout(TIMEOUT, self.request(mail)).await;
        request.unwrap_or_else(|_| Err(MailError::Unavailable("no response within 20 s".to_owned())))
    }
}

fn describe(error: &ApiError) -> String {
    match error {
        ApiError::Credentials(error) => format!("no credentials: {error:#}"),
        ApiError::Unreachable(error) => format!("Amazon SES is unreachable: {error:#}"),
    }
}
