//! The check of the hosted zone: ACM validates a certificate by a record in the public zone of its domain, and the creation waits for that
//! (ACM User Guide: "AWS Certificate Manager DNS validation").

use aws::signed_request::GET_HOSTED_ZONE;
use aws::{Result, Session};
use serde_json::json;

use super::problem::HostedZoneProblem;
use super::{PreflightFinding, fatal};

/// Checks that the zone exists, is public and has the host name.
///
/// # Errors
/// Route 53 rejects the request.
pub async fn check(aws: &Session, zone: &str, host: &str) -> Result<Vec<PreflightFinding>> {
    let response = match aws.signed.call(GET_HOSTED_ZONE, &json!({ "Id": zone })).await {
        Ok(response) => response,
        Err(error) if error.code() == "NoSuchHostedZone" => {
            let zone = zone.to_owned();
            return Ok(vec![fatal(HostedZoneProblem::Missing { zone })]);
        }
        Err(error) => return Err(error),
    };
    let found = &response["HostedZone"];
    // Route 53 writes names with the root's dot, and in lower case.
    let name = found["Name"]
        .as_str()
        .unwrap_or_default()
        .trim_end_matches('.')
        .to_owned();
    let (zone, host) = (zone.to_owned(), host.trim_end_matches('.').to_ascii_lowercase());
    let problem = if found["Config"]["PrivateZone"] == "true" {
        HostedZoneProblem::Private { zone, name }
    } else if host == name || host.ends_with(&format!(".{name}")) {
        return Ok(Vec::new());
    } else {
        HostedZoneProblem::OtherDomain { host, zone, name }
    };
    Ok(vec![fatal(problem)])
}

#[cfg(test)]
mod tests {
    use aws::testing::FakeAws;

    use super::super::Problem;
    use super::*;

    const ZONE: &str = "Z0123456789ABCDEFGHIJ";

    async fn found(host: &str, status: u16, body: &str) -> Vec<Problem> {
        let body = body.to_owned();
        let endpoint = FakeAws::start(move |call| {
            assert_eq!(
                (call.method.as_str(), call.path.as_str()),
                ("GET", "/2013-04-01/hostedzone/Z0123456789ABCDEFGHIJ")
            );
            Some((status, body.clone()))
        })
        .await;
        let findings = check(&endpoint.session().await, ZONE, host).await.expect("an answer");
        findings.into_iter().map(|finding| finding.problem).collect()
    }

    fn zone(name: &str, is_private: bool) -> String {
        format!(
            "<GetHostedZoneResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><HostedZone><Id>/hostedzone/{ZONE}</Id>\
             <Name>{name}</Name><Config><PrivateZone>{is_private}</PrivateZone></Config></HostedZone></GetHostedZoneResponse>"
        )
    }

    #[tokio::test]
    async fn the_public_zone_of_the_host_is_accepted_and_no_other() {
        let public = zone("example.org.", false);
        for host in ["shop.example.org", "example.org", "a.b.Example.org"] {
            assert_eq!(found(host, 200, &public).await, [], "{host}");
        }
        for host in ["shop.example.com", "shopexample.org", "org"] {
            let problems = found(host, 200, &public).await;
            assert!(
                matches!(
                    problems[..],
                    [Problem::HostedZone(HostedZoneProblem::OtherDomain { .. })]
                ),
                "{host}"
            );
        }
        let private = found("shop.example.org", 200, &zone("example.org.", true)).await;
        assert!(matches!(
            private[..],
            [Problem::HostedZone(HostedZoneProblem::Private { .. })]
        ));
        let error = "<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchHostedZone</Code><Message>No hosted zone found</Message></Error></ErrorResponse>";
        let missing = found("shop.example.org", 404, error).await;
        assert!(matches!(
            missing[..],
            [Problem::HostedZone(HostedZoneProblem::Missing { .. })]
        ));
    }
}
