//! The checks of an AWS account: credentials and their expiry, availability zones, the clock.

use aws::{account, zones};
use platform::stacks::ZoneNeeds;

use super::check::Check;
use super::clock_skew;
use crate::context::Session;
use crate::error::Error;

/// The duration of a first deployment in seconds: credentials should not expire sooner.
const EXPIRY_WARNING: i64 = 45 * 60;

pub async fn checks(session: &Session) -> Vec<Check> {
    let aws = match session.connect().await {
        Ok(aws) => aws,
        Err(error) => return vec![failed("credentials and region", &error.into())],
    };
    let url = session
        .endpoint_url()
        .unwrap_or_else(|| "https://sts.amazonaws.com".into());
    let (identity, zones, clock) = tokio::join!(identity(&aws), region(&aws), clock_skew::check(&url));
    let mut checks = vec![identity, expiry(&aws), zones];
    checks.extend(clock);
    checks
}

async fn identity(aws: &aws::Session) -> Check {
    match account::identity(aws).await {
        Ok(identity) => Check::ok("credentials", identity.arn),
        Err(error) => failed("credentials", &error.into()),
    }
}

fn expiry(aws: &aws::Session) -> Check {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    match aws.credentials_expiry().map(|end| end - now) {
        None => Check::ok("expiry", "these credentials do not expire"),
        Some(seconds) if seconds < EXPIRY_WARNING => Check::warn(
            "expiry",
            format!("the credentials expire in {} min", seconds.max(0) / 60),
            "renew them before a long `up` (`aws sso login`); an interrupted `up` is continued by the next one",
        ),
        Some(seconds) => Check::ok("expiry", format!("the credentials expire in {} min", seconds / 60)),
    }
}

async fn region(aws: &aws::Session) -> Check {
    let anything = ZoneNeeds {
        kafka: false,
        database_classes: Vec::new(),
    };
    match zones::survey(aws, &anything).await.map(|zones| zones.len()) {
        Ok(count) if count < 2 => Check::fail(
            "region",
            format!("{count} availability zones; the network needs two"),
            "choose another region with --region",
        ),
        Ok(count) => Check::ok("region", format!("{count} availability zones")),
        Err(error) => failed("region", &error.into()),
    }
}

fn failed(name: &'static str, error: &Error) -> Check {
    let fix = error
        .hint()
        .unwrap_or_else(|| "try `aws sts get-caller-identity`".into());
    Check::fail(name, error.to_string(), fix)
}
