//! The regions of one endpoint: each has its own documents, files and background work. Those of the services without regions, IAM and
//! S3 among them, are shared.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::context::Context;
use crate::error::AwsError;

/// The collection, and the key, of the parts of the address block by region.
const PARTS: (&str, &str) = ("endpoint.address-parts", "by-region");
/// Maximum number of regions with addresses.
const MAX_BLOCKS: u8 = 4;
/// The contexts of the regions other than the first; a cell is filled when the services of its region have started.
#[derive(Default)]
struct OtherRegions(Mutex<BTreeMap<String, Arc<OnceCell<Context>>>>);

/// The loopback addresses of one region, a part of 127.x.0.0/16, divided by purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopbackBlock {
    /// The second octet of the endpoint's addresses.
    pub octet: u8,
    /// The part of the region, from 0.
    part: u8,
}

impl LoopbackBlock {
    /// Returns the address of an RDS instance: 127.x.1.n in the first region. The port is the template's (5432 by default).
    pub fn database(self, n: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.octet, 1 + 4 * self.part, n)
    }

    /// Returns the address of an MSK cluster: 127.x.2.n in the first region, ports 9092 and 9098.
    pub fn broker(self, n: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.octet, 2 + 4 * self.part, n)
    }

    /// Returns the address of a Cloud Map service: 127.x.3.n in the first region, with the ports of its tasks.
    pub fn service_name(self, n: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.octet, 3 + 4 * self.part, n)
    }

    /// Returns the address of an ECS task: 127.x.16.1 to 127.x.75.254 in the first region.
    pub fn task(self, n: u16) -> Ipv4Addr {
        const THIRDS: u16 = 60;
        let n = n % (THIRDS * 254);
        let [third, last] = (n / 254 * 256 + n % 254 + 1).to_be_bytes();
        Ipv4Addr::new(127, self.octet, 16 + 60 * self.part + third, last)
    }
}

impl Context {
    /// Returns the context that serves a service to this region: the first region for a global service.
    pub(crate) fn for_service(&self, service: &str) -> Context {
        match self.service(service) {
            Some(found) if found.is_global() => self.first_region(),
            _ => self.clone(),
        }
    }

    /// Returns the context that serves requests to a service in a region. At the first request to a region its services start.
    ///
    /// # Errors
    /// When the text is no name of a region, or its services cannot start.
    pub async fn for_request(&self, service: &str, region: &str) -> Result<Context, AwsError> {
        let first = self.first_region();
        if region == first.region() || self.service(service).is_some_and(|found| found.is_global()) {
            return Ok(first);
        }
        if !is_name(region) {
            let message = format!("The signature's region {region} is not the name of a region.");
            return Err(AwsError::new("SignatureDoesNotMatch", message).with_status(403));
        }
        let cell = first
            .extension::<OtherRegions>()
            .0
            .lock()
            .entry(region.to_owned())
            .or_default()
            .clone();
        let started = cell.get_or_try_init(|| async {
            let cx = first.of_region(region);
            std::fs::create_dir_all(cx.state_dir())?;
            cx.start_services().await?;
            anyhow::Ok(cx)
        });
        Ok(started.await?.clone())
    }

    /// Starts the services in each region that has documents.
    ///
    /// # Errors
    /// When the state is unreadable, or a service cannot be started.
    pub async fn start(&self) -> anyhow::Result<()> {
        self.start_services().await?;
        for region in self.store().regions()? {
            self.for_request("", &region).await?;
        }
        Ok(())
    }

    /// Stops the services in each region.
    pub async fn stop(&self) {
        for cx in self.regions().into_iter().rev() {
            cx.stop_services().await;
        }
        self.extension::<OtherRegions>().0.lock().clear();
    }

    /// Returns the contexts of the regions in use, the first region first.
    pub fn regions(&self) -> Vec<Context> {
        let first = self.first_region();
        let others = first.extension::<OtherRegions>();
        let others: Vec<Context> = others
            .0
            .lock()
            .values()
            .filter_map(|cell| cell.get().cloned())
            .collect();
        std::iter::once(first).chain(others).collect()
    }

    /// Returns the loopback addresses that belong to this region.
    ///
    /// # Errors
    /// `LimitExceeded` in a fifth region that needs addresses.
    pub fn loopback(&self) -> Result<LoopbackBlock, AwsError> {
        let octet = self.config().loopback_octet;
        if self.is_first_region() {
            return Ok(LoopbackBlock { octet, part: 0 });
        }
        let shared = self.store().of_first_region();
        shared.transaction(|| {
            let mut parts: BTreeMap<String, u8> = shared.get(PARTS.0, PARTS.1)?.unwrap_or_default();
            let free = (1..MAX_BLOCKS).find(|part| !parts.values().any(|taken| taken == part));
            let part = match (parts.get(self.region()).copied(), free) {
                (Some(part), _) => part,
                (None, Some(part)) => {
                    parts.insert(self.region().to_owned(), part);
                    shared.put(PARTS.0, PARTS.1, &parts)?;
                    part
                }
                (None, None) => {
                    let taken: Vec<&str> = parts.keys().map(String::as_str).collect();
                    let message = format!(
                        "The embedded endpoint runs tasks, databases and brokers in {MAX_BLOCKS} regions at most: in its first region and in {}.",
                        taken.join(", ")
                    );
                    return Err(AwsError::new("LimitExceeded", message));
                }
            };
            Ok(LoopbackBlock { octet, part })
        })
    }
}

/// Returns the names of three zones of a region, the number that most regions have.
pub fn zones(region: &str) -> Vec<String> {
    ["a", "b", "c"].map(|zone| format!("{region}{zone}")).into()
}

/// Returns true for a text in the form of region names, such as `ap-southeast-2` or `us-gov-west-1`.
pub fn is_name(text: &str) -> bool {
    let mut words: Vec<&str> = text.split('-').collect();
    let number = words.pop().unwrap_or_default();
    let is_number = !number.is_empty() && number.len() <= 2 && number.bytes().all(|b| b.is_ascii_digit());
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    is_number && (2..=3).contains(&words.len()) && words.iter().all(is_word) && text.len() <= 32
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::service::{Call, Service};
    use crate::testing::context;

    #[test]
    fn names_of_regions() {
        for (text, valid) in [
            ("eu-west-1", true),
            ("us-gov-west-1", true),
            ("ap-southeast-2", true),
            ("eu", false),
            ("../../etc-1", false),
            ("eu-west-", false),
            ("EU-west-1", false),
            ("aws-global", false),
        ] {
            assert_eq!(is_name(text), valid, "{text}");
        }
    }

    struct Global;

    #[async_trait::async_trait]
    impl Service for Global {
        fn name(&self) -> &'static str {
            "global"
        }

        fn is_global(&self) -> bool {
            true
        }

        async fn call(&self, _: &Context, call: Call) -> Result<Value, AwsError> {
            Err(AwsError::not_implemented("global", &call.operation))
        }
    }

    #[tokio::test]
    async fn documents_are_apart_and_those_of_global_services_are_shared() {
        let (cx, _folder) = context();
        cx.register(vec![Arc::new(Global)]);
        cx.register(vec![Arc::new(Global)]);
        let other = cx.for_request("regional", "eu-west-1").await.unwrap();
        for (collection, shared) in [("regional.things", false), ("global.things", true)] {
            cx.store().put(collection, "a", &1).unwrap();
            assert_eq!(
                other.store().get::<u8>(collection, "a").unwrap(),
                shared.then_some(1),
                "{collection}"
            );
        }
        other.store().put("regional.things", "b", &2).unwrap();
        assert_eq!(cx.store().list::<u8>("regional.things").unwrap(), [("a".to_owned(), 1)]);
        assert_eq!(
            other.store().list::<u8>("regional.things").unwrap(),
            [("b".to_owned(), 2)]
        );
        // The name of a collection may have any characters, such as those of an ARN.
        cx.store()
            .put("regional.events.arn:aws:a:b:c:stack/s/1", "a", &1)
            .unwrap();
        assert_eq!(cx.store().regions().unwrap(), ["eu-west-1"]);
        let global = cx.for_request("global", "eu-west-1").await.unwrap();
        assert!(global.is_first_region());
        assert_eq!(
            other.arn("ecs", "cluster/c"),
            "arn:aws:ecs:eu-west-1:000000000000:cluster/c"
        );
    }

    #[tokio::test]
    async fn regions_have_their_own_addresses() {
        let (cx, _folder) = context();
        let mut seen = vec![cx.loopback().unwrap()];
        for region in ["eu-west-1", "eu-west-2", "eu-west-3"] {
            let other = cx.for_request("regional", region).await.unwrap();
            seen.push(other.loopback().unwrap());
            assert_eq!(other.loopback().unwrap(), *seen.last().unwrap(), "{region}");
        }
        let addresses = |block: &LoopbackBlock| {
            [
                block.database(254),
                block.broker(1),
                block.service_name(1),
                block.task(0),
                block.task(15_239),
            ]
        };
        let all: std::collections::BTreeSet<Ipv4Addr> = seen.iter().flat_map(addresses).collect();
        assert_eq!(all.len(), 20);
        assert_eq!(seen[3].task(15_239), Ipv4Addr::new(127, 77, 255, 254));
        let fifth = cx.for_request("regional", "sa-east-1").await.unwrap();
        assert_eq!(fifth.loopback().unwrap_err().code, "LimitExceeded");
    }
}
