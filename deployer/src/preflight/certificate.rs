//! The check of the load balancer's certificate: a listener accepts only an issued certificate in its region.

use aws::signed_request::DESCRIBE_CERTIFICATE;
use aws::{Result, Session};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::problem::CertificateProblem;
use super::{PreflightFinding, fatal, warning};

/// The remaining validity that is a warning, unless ACM renews the certificate.
const EXPIRY_WARNING: Duration = Duration::days(30);

/// Checks the certificate that the manifest names.
///
/// # Errors
/// ACM rejects the request.
pub async fn check(aws: &Session, arn: &str) -> Result<Vec<PreflightFinding>> {
    let region = arn.split(':').nth(3).unwrap_or_default().to_owned();
    if region != aws.region() {
        let needed = aws.region().to_owned();
        return Ok(vec![fatal(CertificateProblem::Region { region, needed })]);
    }
    let input = json!({ "CertificateArn": arn });
    match aws.signed.call(DESCRIBE_CERTIFICATE, &input).await {
        Ok(response) => {
            let finding = assess(&response["Certificate"], OffsetDateTime::now_utc());
            Ok(finding.into_iter().collect())
        }
        Err(error) if error.is_not_found() => {
            let arn = arn.to_owned();
            Ok(vec![fatal(CertificateProblem::Missing { arn, region })])
        }
        Err(error) => Err(error),
    }
}

/// Checks a certificate in the form of `DescribeCertificate` (`API_CertificateDetail`).
fn assess(certificate: &Value, now: OffsetDateTime) -> Option<PreflightFinding> {
    let status = certificate["Status"].as_str().unwrap_or("in an unknown state");
    if status != "ISSUED" {
        let status = status.to_owned();
        return Some(fatal(CertificateProblem::Status { status }));
    }
    let expiry = aws::unix_time(&certificate["NotAfter"])?;
    let date = expiry.date();
    if expiry <= now {
        return Some(fatal(CertificateProblem::Expired { date }));
    }
    let renews = certificate["RenewalEligibility"] == "ELIGIBLE";
    (expiry - now < EXPIRY_WARNING && !renews).then(|| warning(CertificateProblem::ExpiresSoon { date }))
}

#[cfg(test)]
mod tests {
    use super::super::Problem;
    use super::*;
    use aws::testing::FakeAws;

    const DAY: i64 = 86_400;

    /// Returns the findings for this response of ACM.
    async fn found(status: u16, answer: Value) -> Vec<PreflightFinding> {
        let endpoint = FakeAws::start(move |call| {
            assert_eq!(call.operation, "DescribeCertificate");
            assert!(call.body.contains("certificate/1"), "{}", call.body);
            Some((status, answer.to_string()))
        })
        .await;
        let aws = endpoint.session().await;
        check(&aws, "arn:aws:acm:us-east-1:1:certificate/1")
            .await
            .expect("an answer")
    }

    fn certificate(status: &str, days: i64, renewal: &str) -> Value {
        let ends = OffsetDateTime::now_utc().unix_timestamp() + days * DAY;
        json!({"Certificate": {"Status": status, "NotAfter": ends as f64, "RenewalEligibility": renewal}})
    }

    #[tokio::test]
    async fn only_an_issued_certificate_of_the_region_passes() {
        for valid in [
            certificate("ISSUED", 300, "INELIGIBLE"),
            certificate("ISSUED", 10, "ELIGIBLE"),
        ] {
            assert_eq!(found(200, valid).await, []);
        }
        let soon = found(200, certificate("ISSUED", 10, "INELIGIBLE")).await;
        assert!(
            matches!(
                soon.as_slice(),
                [PreflightFinding {
                    problem: Problem::Certificate(CertificateProblem::ExpiresSoon { .. }),
                    fatal: false
                }]
            ),
            "{soon:?}"
        );
        let expired = found(200, certificate("ISSUED", -1, "ELIGIBLE")).await;
        assert!(
            matches!(
                expired.as_slice(),
                [PreflightFinding {
                    problem: Problem::Certificate(CertificateProblem::Expired { .. }),
                    fatal: true
                }]
            ),
            "{expired:?}"
        );
        for status in ["EXPIRED", "PENDING_VALIDATION"] {
            let problem = CertificateProblem::Status { status: status.into() };
            assert_eq!(
                found(200, certificate(status, 300, "INELIGIBLE")).await,
                [fatal(problem)]
            );
        }
        let missing = json!({"__type": "ResourceNotFoundException", "message": "Could not find certificate"});
        let missing = found(400, missing).await;
        assert!(
            matches!(
                missing.as_slice(),
                [PreflightFinding {
                    problem: Problem::Certificate(CertificateProblem::Missing { .. }),
                    fatal: true
                }]
            ),
            "{missing:?}"
        );
    }

    #[tokio::test]
    async fn a_certificate_of_another_region_is_rejected_without_a_request_and_a_denied_request_is_an_error() {
        let endpoint = FakeAws::start(|call| {
            let no = json!({"__type": "AccessDeniedException", "message": "not allowed"});
            (call.operation == "DescribeCertificate").then(|| (400, no.to_string()))
        })
        .await;
        let aws = endpoint.session().await;
        let elsewhere = check(&aws, "arn:aws:acm:eu-west-1:1:certificate/1")
            .await
            .expect("no request");
        let (region, needed) = ("eu-west-1".to_owned(), "us-east-1".to_owned());
        assert_eq!(elsewhere, [fatal(CertificateProblem::Region { region, needed })]);
        let denied = check(&aws, "arn:aws:acm:us-east-1:1:certificate/1").await;
        assert!(matches!(denied, Err(aws::Error::Denied { .. })), "{denied:?}");
    }
}
