//! What AWS needs: credentials that last, a region with zones enough, a clock that agrees.

use super::check::Check;
use super::clock;
use crate::error::Error;
use crate::target::{Aws, Session};

/// Credentials that end sooner, in seconds, do not last for a first deployment.
const SOON: i64 = 45 * 60;

pub async fn checks(session: &Session) -> Vec<Check> {
    let aws = match session.connect().await {
        Ok(aws) => aws,
        Err(error) => return vec![failed("credentials and region", &error)],
    };
    let url = session
        .endpoint_url()
        .unwrap_or_else(|| "https://sts.amazonaws.com".into());
    let (identity, zones, clock) = tokio::join!(identity(&aws), zones(&aws), clock::check(&url));
    let mut checks = vec![identity, expiry(&aws), zones];
    checks.extend(clock);
    checks
}

async fn identity(aws: &Aws) -> Check {
    match aws.sts.get_caller_identity().send().await.map_err(Error::from) {
        Ok(found) => Check::ok("credentials", found.arn().unwrap_or("an unnamed identity")),
        Err(error) => failed("credentials", &error),
    }
}

fn expiry(aws: &Aws) -> Check {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    match aws.expiry.map(|end| end - now) {
        None => Check::ok("expiry", "these credentials have no end"),
        Some(left) if left < SOON => Check::warn(
            "expiry",
            format!("the credentials end in {} min", left.max(0) / 60),
            "sign in again before a long `up` (`aws sso login`); one whose credentials end is taken up by the next",
        ),
        Some(left) => Check::ok("expiry", format!("the credentials end in {} min", left / 60)),
    }
}

async fn zones(aws: &Aws) -> Check {
    match aws.ec2.describe_availability_zones().send().await.map_err(Error::from) {
        Ok(answer) if answer.availability_zones().len() < 2 => Check::fail(
            "region",
            format!(
                "it has {} availability zones; the network needs two",
                answer.availability_zones().len()
            ),
            "choose another with --region",
        ),
        Ok(answer) => Check::ok(
            "region",
            format!("{} availability zones", answer.availability_zones().len()),
        ),
        Err(error) => failed("region", &error),
    }
}

fn failed(name: &'static str, error: &Error) -> Check {
    let fix = error
        .hint()
        .unwrap_or_else(|| "see `aws sts get-caller-identity`".into());
    Check::fail(name, error.to_string(), fix)
}
