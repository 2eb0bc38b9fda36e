use std::collections::BTreeMap;

use aws::testing::{Call, FakeAws, Response, error_response, query_response};
use serde_json::json;

use super::*;
use crate::command::testing::plan;
use crate::preflight::Problem;

/// Answers for an account with these quotas by code, these vCPUs in use, and one of everything else.
fn account(quotas: BTreeMap<&'static str, f64>, vcpus: f64) -> impl Fn(&Call) -> Response + Send + Sync {
    move |call| {
        let operation = call.operation.as_str();
        let list = |list: &str, item: &str| {
            let text = format!("<{operation}Response><{list}>{item}</{list}></{operation}Response>");
            Some((200, text))
        };
        match operation {
            "GetServiceQuota" => {
                let code = call.json()["QuotaCode"].as_str().unwrap_or_default().to_owned();
                let error = json!({ "__type": "NoSuchResourceException", "message": "no quota was applied" });
                Some(match quotas.get(code.as_str()) {
                    Some(value) => (200, json!({ "Quota": { "Value": value } }).to_string()),
                    None => (400, error.to_string()),
                })
            }
            "GetAWSDefaultServiceQuota" => Some((200, json!({ "Quota": { "Value": 50.0 } }).to_string())),
            "GetMetricStatistics" => {
                assert_eq!(call.field("Dimensions.member.4.Value"), "Standard/OnDemand");
                let point = |value: f64| format!("<member><Maximum>{value}</Maximum></member>");
                let points = format!("<Datapoints>{}{}</Datapoints>", point(vcpus), point(vcpus / 2.0));
                query_response(operation, &points)
            }
            "DescribeAccountAttributes" => query_response(
                operation,
                "<AccountQuotas><AccountQuota><AccountQuotaName>DBInstances</AccountQuotaName><Used>39</Used><Max>40</Max>\
                 </AccountQuota></AccountQuotas>",
            ),
            "DescribeVpcs" => list("vpcSet", "<item><vpcId>vpc-1</vpcId></item>"),
            "DescribeAddresses" => list("addressesSet", "<item><publicIp>192.0.2.1</publicIp></item>"),
            "DescribeNatGateways" => list("natGatewaySet", ""),
            "DescribeLoadBalancers" => query_response(operation, "<LoadBalancers/>"),
            "ListClustersV2" | "" => Some((200, json!({ "clusterInfoList": [] }).to_string())),
            _ => error_response(400, "InvalidAction", operation),
        }
    }
}

async fn findings(quotas: &[(&'static str, f64)], vcpus: f64, all_new: bool) -> Vec<PreflightFinding> {
    let endpoint = FakeAws::start(account(quotas.iter().copied().collect(), vcpus)).await;
    let aws = endpoint.session().await;
    let plan = plan("prod");
    let new: Vec<&Stack> = plan.stacks.iter().filter(|_| all_new).collect();
    check(&aws, &plan, &new).await.expect("an answer")
}

fn vcpus(finding: &PreflightFinding) -> Option<(bool, [f64; 4])> {
    match &finding.problem {
        Problem::Quota(QuotaProblem::Fargate {
            start,
            rollout,
            maximum,
            others,
            ..
        }) => Some((finding.fatal, [*start, *rollout, *maximum, *others])),
        _ => None,
    }
}

#[tokio::test]
async fn a_first_start_beyond_the_quota_is_fatal_and_a_rollout_beyond_it_a_warning() {
    let start = |all_new, quota, used| async move {
        let found = findings(&[("L-3032A538", quota)], used, all_new).await;
        found.iter().find_map(vcpus)
    };
    let Some((true, [needed, rollout, maximum, others])) = start(true, 0.0, 0.0).await else {
        panic!("a new account has no vCPU");
    };
    assert!(
        needed > 0.0 && rollout >= 2.0 * needed - 1.0 && maximum >= needed,
        "{needed} {rollout} {maximum}"
    );
    assert!(others.abs() < f64::EPSILON);
    let fits = start(true, needed, 0.0).await;
    assert!(matches!(fits, Some((false, _))), "a rollout needs more: {fits:?}");
    assert!(matches!(start(true, needed, 0.25).await, Some((true, _))), "others run");
    assert_eq!(start(true, rollout.max(maximum), 0.0).await, None);
    // What runs of the environment itself is not counted twice.
    assert_eq!(start(false, rollout.max(maximum), needed).await, None);
    assert!(matches!(start(false, needed, needed).await, Some((false, _))));
}

#[tokio::test]
async fn databases_beyond_the_quota_are_found_with_the_codes_of_service_quotas() {
    let found = findings(&[("L-7B6409FD", 39.0), ("L-3032A538", 1000.0)], 0.0, true).await;
    let codes: Vec<&str> = found
        .iter()
        .filter_map(|finding| match &finding.problem {
            Problem::Quota(QuotaProblem::Exceeded { quota, .. }) => Some(quota.code),
            _ => None,
        })
        .collect();
    assert_eq!(codes, ["L-7B6409FD"]);
}
