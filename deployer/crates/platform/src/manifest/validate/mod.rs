//! From what is written to what holds: defaults, names that exist, values that AWS accepts.

mod database;
mod ingress;
mod service;
mod variables;

use std::path::PathBuf;

use super::file::{self, Settings};
use super::source::Source;
use super::{
    Alarms, Bootstrap, Cidr, Database, Kafka, KafkaSecurity, Manifest, ManifestError, Nat, Network, Service, Topic,
};

use crate::suggest;

type Checked<T> = Result<T, ManifestError>;

/// Where errors are said: the file and the environment in hand.
struct Place<'a> {
    source: &'a Source,
    environment: &'a str,
}

impl Place<'_> {
    fn invalid<T>(&self, keys: &[&str], message: impl Into<String>) -> Checked<T> {
        Err(self.source.invalid(self.environment, keys, message))
    }
}

pub fn manifest(source: &Source, environment: &str, given: Settings, environments: Vec<String>) -> Checked<Manifest> {
    let place = Place { source, environment };
    let Some(project) = given.project.clone() else {
        return place.invalid(&["project"], "is missing");
    };
    if !is_name(&project.name, 26) {
        return place.invalid(
            &["project", "name"],
            format!(
                "'{}' must be 1 to 26 lower-case letters, digits and hyphens, from a letter on",
                project.name
            ),
        );
    }
    if !is_name(environment, 12) {
        return place.invalid(
            &["environments", environment],
            "must be 1 to 12 lower-case letters, digits and hyphens",
        );
    }
    let network = network(&place, &given.network)?;
    let databases = given
        .databases
        .iter()
        .map(|(key, own)| database::database(&place, key, own, &given))
        .collect::<Checked<Vec<_>>>()?;
    let kafka = kafka(&place, &given, network.availability_zones)?;
    let topics = given
        .topics
        .iter()
        .map(|(name, own)| topic(&place, name, own, kafka.as_ref()))
        .collect::<Checked<Vec<_>>>()?;
    let services = given
        .services
        .iter()
        .map(|(name, own)| service::service(&place, name, own, &given, network.cidr))
        .collect::<Checked<Vec<_>>>()?;
    if services.is_empty() {
        return place.invalid(&["services"], "declares no service; add a table [services.<name>]");
    }
    one_reader_each(&place, &databases, &services)?;
    variables::one_meaning_each(&place, &services)?;
    let alarms = alarms(&place, &given, &services)?;
    Ok(Manifest {
        workspace: workspace(source, &project.workspace),
        project: project.name,
        environment: environment.to_owned(),
        environments,
        demo_data: given.demo_data,
        protected: given.protected,
        customer_key: given.customer_key,
        ingress: ingress::ingress(&place, &given, &services)?,
        alarms,
        network,
        kafka,
        databases,
        topics,
        services,
    })
}

fn workspace(source: &Source, relative: &str) -> PathBuf {
    let beside = source.path.parent().unwrap_or_else(|| std::path::Path::new("."));
    let joined = beside.join(relative);
    joined.canonicalize().unwrap_or(joined)
}

fn network(place: &Place, given: &file::Network) -> Checked<Network> {
    let text = given.cidr.as_deref().unwrap_or("10.0.0.0/16");
    let cidr = text.split_once('/').and_then(|(address, bits)| {
        Some(Cidr {
            address: address.parse().ok()?,
            bits: bits.parse().ok()?,
        })
    });
    let Some(cidr) = cidr.filter(|cidr| (16..=20).contains(&cidr.bits) && is_aligned(*cidr)) else {
        return place.invalid(
            &["network", "cidr"],
            format!("'{text}' is not an IPv4 network of 16 to 20 bits, such as 10.0.0.0/16"),
        );
    };
    if !cidr.address.is_private() {
        return place.invalid(
            &["network", "cidr"],
            format!("'{text}' is not a private network (RFC 1918)"),
        );
    }
    let availability_zones = given.availability_zones.unwrap_or(2);
    if !(2..=3).contains(&availability_zones) {
        return place.invalid(
            &["network", "availability_zones"],
            format!("{availability_zones} is not 2 or 3"),
        );
    }
    let nat = given.nat.unwrap_or(Nat::Single);
    Ok(Network {
        cidr,
        availability_zones,
        nat,
        flow_logs: given.flow_logs.unwrap_or(false),
    })
}

fn is_aligned(cidr: Cidr) -> bool {
    u32::from(cidr.address) & (u32::MAX >> cidr.bits) == 0
}

fn kafka(place: &Place, given: &Settings, zones: u8) -> Checked<Option<Kafka>> {
    if given.topics.is_empty() {
        return Ok(None);
    }
    let own = &given.kafka;
    let per_zone = own.brokers_per_zone.unwrap_or(1);
    if !(1..=10).contains(&per_zone) {
        return place.invalid(&["kafka", "brokers_per_zone"], format!("{per_zone} is not 1 to 10"));
    }
    let storage_gib = own.storage_gib.unwrap_or(10);
    if !(1..=16_384).contains(&storage_gib) {
        return place.invalid(
            &["kafka", "storage_gib"],
            format!("{storage_gib} is not 1 to 16384, which the volume of a broker can be"),
        );
    }
    let instance_type = own.instance_type.clone().unwrap_or_else(|| "kafka.t3.small".into());
    if !is_class(&instance_type, "kafka.") && !is_class(&instance_type, "express.") {
        return place.invalid(
            &["kafka", "instance_type"],
            format!("'{instance_type}' is not a type of MSK's brokers, such as kafka.t3.small"),
        );
    }
    let security = own.security.unwrap_or(KafkaSecurity::Plaintext);
    if security == KafkaSecurity::MskIam && own.bootstrap.is_some() {
        return place.invalid(
            &["kafka", "security"],
            "\"msk-iam\" is for a cluster of this platform: what roles may do with the brokers of kafka.bootstrap is \
             for their owner to say; set \"plaintext\", or leave bootstrap out",
        );
    }
    Ok(Some(Kafka {
        version: own.version.clone().unwrap_or_else(|| "4.0.x.kraft".into()),
        instance_type,
        brokers: u16::from(per_zone) * u16::from(zones),
        storage_gib,
        security,
        bootstrap: bootstrap(place, own)?,
    }))
}

fn bootstrap(place: &Place, own: &file::Kafka) -> Checked<Option<Bootstrap>> {
    let cidr = own.bootstrap_cidr.as_deref();
    let Some(text) = &own.bootstrap else {
        return match cidr {
            Some(_) => place.invalid(
                &["kafka", "bootstrap_cidr"],
                "is the network of kafka.bootstrap, which is not set",
            ),
            None => Ok(None),
        };
    };
    match Bootstrap::parse(text, cidr) {
        Ok(bootstrap) => Ok(Some(bootstrap)),
        Err(wrong) => place.invalid(&["kafka", "bootstrap"], wrong),
    }
}

fn topic(place: &Place, name: &str, own: &file::Topic, kafka: Option<&Kafka>) -> Checked<Topic> {
    if name.is_empty() || name.len() > 249 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        return place.invalid(
            &["topics", name],
            "is not a topic name: letters, digits, '.', '_' and '-', 249 at most",
        );
    }
    let partitions = own.partitions.unwrap_or(1);
    if !(1..=1000).contains(&partitions) {
        return place.invalid(
            &["topics", name, "partitions"],
            format!("{partitions} is not 1 to 1000"),
        );
    }
    let brokers = kafka.map_or(1, |kafka| kafka.brokers);
    let replication_factor = own.replication_factor.unwrap_or(brokers.min(3));
    if replication_factor == 0 || replication_factor > brokers {
        return place.invalid(
            &["topics", name, "replication_factor"],
            format!("{replication_factor} is not 1 to {brokers}, the number of brokers"),
        );
    }
    Ok(Topic {
        name: name.to_owned(),
        partitions,
        replication_factor,
    })
}

/// Something is watched when the environment says so, or one of its services.
fn alarms(place: &Place, given: &Settings, services: &[Service]) -> Checked<Option<Alarms>> {
    let email = given.alarms.email.clone();
    if let Some(address) = email.as_ref().filter(|address| !is_address(address)) {
        return place.invalid(&["alarms", "email"], format!("'{address}' is no e-mail address"));
    }
    let on = given.alarms.enabled.unwrap_or(false) || services.iter().any(|service| service.alarms);
    Ok(on.then_some(Alarms { email }))
}

fn is_address(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && !text.contains(|c: char| c.is_whitespace() || c == ',')
    })
}

/// A database belongs to one service.
fn one_reader_each(place: &Place, databases: &[Database], services: &[Service]) -> Checked<()> {
    for database in databases {
        let users: Vec<&Service> = services
            .iter()
            .filter(|s| s.database.as_ref() == Some(&database.key))
            .collect();
        if let [first, second, ..] = users.as_slice() {
            let message = format!(
                "'{}' belongs to {} already; services share no database",
                database.key, first.name
            );
            return place.invalid(&["services", &second.name, "database"], message);
        }
    }
    Ok(())
}

fn instead<'a>(kind: &str, given: &str, names: impl Iterator<Item = &'a String>) -> String {
    suggest::instead(kind, given, names.map(String::as_str))
}

/// Lower-case letters, digits and single hyphens, from a letter on.
fn is_name(text: &str, longest: usize) -> bool {
    text.len() <= longest
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && !text.contains("--")
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Whether a text is AWS's name for a size of machine: the prefix, a family, a dot and a size.
fn is_class(text: &str, prefix: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    text.strip_prefix(prefix)
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(family, size)| part(family) && part(size))
}

fn is_variable(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}
