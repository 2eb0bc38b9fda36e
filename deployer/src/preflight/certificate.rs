//! The load balancer's certificate: a listener takes only one that is issued, and in its own region.

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::{Finding, fatal, warning};
use crate::error::Result;
use crate::manifest::Manifest;
use crate::target::{Aws, plain};

/// One that ends sooner is worth a word, unless ACM renews it by itself.
const SOON: Duration = Duration::days(30);

/// Looks at the certificate that the manifest names; nothing where it names none.
pub async fn look(aws: &Aws, manifest: &Manifest) -> Result<Vec<Finding>> {
    let Some(arn) = &manifest.ingress.certificate else {
        return Ok(Vec::new());
    };
    let region = arn.split(':').nth(3).unwrap_or_default();
    if region != aws.region {
        return Ok(vec![fatal(
            format!(
                "ingress.certificate is in {region}, and a load balancer in {} takes none from elsewhere",
                aws.region
            ),
            format!(
                "request or import one there: `aws acm request-certificate --region {}`, then name its ARN",
                aws.region
            ),
        )]);
    }
    let asked = aws
        .plain
        .ask(plain::CERTIFICATE, &json!({ "CertificateArn": arn }))
        .await;
    match asked {
        Ok(answer) => Ok(judge(&answer["Certificate"], OffsetDateTime::now_utc())
            .into_iter()
            .collect()),
        Err(error) if error.is_missing() => Ok(vec![fatal(
            format!("ingress.certificate names {arn}, and there is no such certificate"),
            format!("`aws acm list-certificates --region {region}` lists those that there are"),
        )]),
        Err(error) => Err(error),
    }
}

/// What is wrong with a certificate as `DescribeCertificate` gives it (API_CertificateDetail).
fn judge(certificate: &Value, now: OffsetDateTime) -> Option<Finding> {
    let status = certificate["Status"].as_str().unwrap_or("in no known state");
    let ends = certificate["NotAfter"].as_f64();
    let ends = ends.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds as i64).ok());
    if status != "ISSUED" {
        let hint = match status {
            "PENDING_VALIDATION" => {
                "put the DNS record there that `aws acm describe-certificate` shows, and wait until it is ISSUED"
            }
            "EXPIRED" => "renew or import it, or name another one",
            _ => "request another one, and name its ARN",
        };
        return Some(fatal(
            format!("the certificate of ingress.certificate is {status}, not ISSUED"),
            hint,
        ));
    }
    let ends = ends?;
    if ends <= now {
        let hint = "renew or import it, or name another one";
        return Some(fatal(
            format!("the certificate of ingress.certificate expired on {}", ends.date()),
            hint,
        ));
    }
    let renews = certificate["RenewalEligibility"] == "ELIGIBLE";
    (ends - now < SOON && !renews).then(|| {
        warning(
            format!(
                "the certificate of ingress.certificate expires on {}, and ACM does not renew it by itself",
                ends.date()
            ),
            "import its successor under the same ARN: `aws acm import-certificate --certificate-arn`",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::target::scripted::Scripted;
    use ui::Ui;

    const DAY: i64 = 86_400;

    fn manifest(certificate: &str) -> Manifest {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deployer.toml");
        let mut manifest = Manifest::load(&path, "prod").expect("the manifest");
        manifest.ingress.certificate = Some(certificate.to_owned());
        manifest
    }

    /// What is found where ACM gives this answer.
    async fn found(status: u16, answer: Value) -> Vec<Finding> {
        let endpoint = Scripted::hear(move |call| {
            assert_eq!(call.operation, "DescribeCertificate");
            assert!(call.body.contains("certificate/1"), "{}", call.body);
            Some((status, answer.to_string()))
        })
        .await;
        let aws = endpoint.aws(&Ui::recording().0).await;
        look(&aws, &manifest("arn:aws:acm:us-east-1:1:certificate/1"))
            .await
            .expect("an answer")
    }

    fn certificate(status: &str, days: i64, renewal: &str) -> Value {
        let ends = OffsetDateTime::now_utc().unix_timestamp() + days * DAY;
        json!({"Certificate": {"Status": status, "NotAfter": ends as f64, "RenewalEligibility": renewal}})
    }

    #[tokio::test]
    async fn only_an_issued_certificate_of_the_region_passes() {
        for fine in [
            certificate("ISSUED", 300, "INELIGIBLE"),
            certificate("ISSUED", 10, "ELIGIBLE"),
        ] {
            assert!(found(200, fine).await.is_empty());
        }
        let soon = found(200, certificate("ISSUED", 10, "INELIGIBLE")).await;
        assert!(!soon[0].fatal && soon[0].what.contains("does not renew it"), "{soon:?}");
        for (given, words) in [
            (certificate("ISSUED", -1, "ELIGIBLE"), "expired on"),
            (certificate("EXPIRED", -1, "INELIGIBLE"), "is EXPIRED, not ISSUED"),
            (
                certificate("PENDING_VALIDATION", 300, "INELIGIBLE"),
                "is PENDING_VALIDATION",
            ),
        ] {
            let told = found(200, given).await;
            assert!(told[0].fatal && told[0].what.contains(words), "{told:?}");
        }
        let missing = json!({"__type": "ResourceNotFoundException", "message": "Could not find certificate"});
        let told = found(400, missing).await;
        assert!(
            told[0].fatal && told[0].what.contains("no such certificate"),
            "{told:?}"
        );
    }

    #[tokio::test]
    async fn one_of_another_region_is_refused_without_a_question_and_a_refused_question_is_an_error() {
        let endpoint = Scripted::hear(|call| {
            let no = json!({"__type": "AccessDeniedException", "message": "not allowed"});
            (call.operation == "DescribeCertificate").then(|| (400, no.to_string()))
        })
        .await;
        let aws = endpoint.aws(&Ui::recording().0).await;
        let elsewhere = look(&aws, &manifest("arn:aws:acm:eu-west-1:1:certificate/1"))
            .await
            .expect("no question");
        assert!(
            elsewhere[0].fatal && elsewhere[0].what.contains("is in eu-west-1"),
            "{elsewhere:?}"
        );
        let refused = look(&aws, &manifest("arn:aws:acm:us-east-1:1:certificate/1")).await;
        assert_eq!(refused.expect_err("it may not look").exit_code(), 3);
    }
}
