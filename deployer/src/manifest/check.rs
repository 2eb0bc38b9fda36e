//! From what is written to what holds: defaults, names that exist, values that AWS accepts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::file::{self, Settings};
use super::source::Source;
use super::{
    Call, Cidr, Database, Ingress, Kafka, KafkaSecurity, Manifest, ManifestError, Nat, Network, Port, Service, Topic,
};

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
            "must be 1 to 26 lower-case letters, digits and hyphens, from a letter on",
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
        .map(|(key, own)| database(&place, key, own, &given))
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
        .map(|(name, own)| service(&place, name, own, &given))
        .collect::<Checked<Vec<_>>>()?;
    if services.is_empty() {
        return place.invalid(&["services"], "declares no service; add a table [services.<name>]");
    }
    one_reader_each(&place, &databases, &services)?;
    Ok(Manifest {
        workspace: workspace(source, &project.workspace),
        project: project.name,
        environment: environment.to_owned(),
        environments,
        demo_data: given.demo_data,
        protected: given.protected,
        ingress: ingress(&place, &given, &services)?,
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

fn database(place: &Place, key: &str, own: &file::Database, given: &Settings) -> Checked<Database> {
    let common = &given.database_defaults;
    if !is_name(key, 30) {
        return place.invalid(
            &["databases", key],
            "must be 1 to 30 lower-case letters, digits and hyphens, from a letter on",
        );
    }
    let name = own.name.clone().unwrap_or_else(|| key.replace('-', "_"));
    if !name.starts_with(|c: char| c.is_ascii_alphabetic())
        || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        || name.len() > 63
    {
        return place.invalid(
            &["databases", key, "name"],
            format!("'{name}' is not a name that RDS accepts: letters, digits and underscores, from a letter on"),
        );
    }
    let storage_gib = own.storage_gib.or(common.storage_gib).unwrap_or(20);
    if !(20..=65536).contains(&storage_gib) {
        return place.invalid(
            &["databases", key, "storage_gib"],
            format!("{storage_gib} is not 20 to 65536, which gp3 volumes can be"),
        );
    }
    let backup_days = own.backup_days.or(common.backup_days).unwrap_or(1);
    if backup_days > 35 {
        return place.invalid(
            &["databases", key, "backup_days"],
            format!("{backup_days} is more than 35, which RDS keeps at most"),
        );
    }
    Ok(Database {
        key: key.to_owned(),
        name,
        engine_version: own
            .engine_version
            .clone()
            .or(common.engine_version.clone())
            .unwrap_or_else(|| "17.9".into()),
        instance_class: own
            .instance_class
            .clone()
            .or(common.instance_class.clone())
            .unwrap_or_else(|| "db.t4g.micro".into()),
        storage_gib,
        multi_az: own.multi_az.or(common.multi_az).unwrap_or(false),
        backup_days,
    })
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
    Ok(Some(Kafka {
        version: own.version.clone().unwrap_or_else(|| "4.0.x.kraft".into()),
        instance_type: own.instance_type.clone().unwrap_or_else(|| "kafka.t3.small".into()),
        brokers: u16::from(per_zone) * u16::from(zones),
        storage_gib: own.storage_gib.unwrap_or(10),
        security: own.security.unwrap_or(KafkaSecurity::Plaintext),
        bootstrap: own.bootstrap.clone(),
    }))
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

/// CPU units with the smallest and greatest memory that Fargate gives them (Amazon ECS: task size).
const FARGATE: &[(u32, u32, u32)] = &[
    (256, 512, 2048),
    (512, 1024, 4096),
    (1024, 2048, 8192),
    (2048, 4096, 16384),
    (4096, 8192, 30720),
];

fn service(place: &Place, name: &str, own: &file::Service, given: &Settings) -> Checked<Service> {
    let at = |key: &'static str| ["services", name, key];
    let common = &given.service_defaults;
    const SHARED: [&str; 5] = ["network", "registry", "data", "messaging", "platform"];
    if !is_name(name, 40) || SHARED.contains(&name) {
        return place.invalid(
            &["services", name],
            "must be 1 to 40 lower-case letters, digits and hyphens, and not the name of a shared stack",
        );
    }
    let cpu = own.cpu.or(common.cpu).unwrap_or(256);
    let memory = own.memory.or(common.memory).unwrap_or(cpu * 2);
    match FARGATE.iter().find(|(units, ..)| *units == cpu) {
        None => {
            return place.invalid(
                &at("cpu"),
                format!("{cpu} is not a size of Fargate: 256, 512, 1024, 2048 or 4096 units"),
            );
        }
        Some((_, least, most)) if !(*least..=*most).contains(&memory) => {
            return place.invalid(
                &at("memory"),
                format!("{memory} MiB do not go with {cpu} CPU units: {least} to {most}"),
            );
        }
        Some(_) => {}
    }
    let scaling = own.scaling.or(common.scaling);
    if let Some(scaling) = scaling
        && (scaling.minimum == 0 || scaling.minimum > scaling.maximum || !(10..=95).contains(&scaling.cpu_percent))
    {
        return place.invalid(
            &at("scaling"),
            "needs 1 <= minimum <= maximum and a cpu_percent of 10 to 95",
        );
    }
    if let Some(key) = &own.database
        && !given.databases.contains_key(key)
    {
        return place.invalid(
            &at("database"),
            format!(
                "there is no database '{key}'; {}",
                known("databases", given.databases.keys())
            ),
        );
    }
    for (key, topics) in [("publishes", &own.publishes), ("consumes", &own.consumes)] {
        for topic in topics.iter().flatten() {
            if !given.topics.contains_key(topic) {
                return place.invalid(
                    &at(key),
                    format!("there is no topic '{topic}'; {}", known("topics", given.topics.keys())),
                );
            }
        }
    }
    let log_retention_days = own.log_retention_days.or(common.log_retention_days).unwrap_or(14);
    const RETENTION: [u32; 14] = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 731];
    if !RETENTION.contains(&log_retention_days) {
        return place.invalid(
            &at("log_retention_days"),
            format!("{log_retention_days} is not one of {RETENTION:?}, which CloudWatch Logs keeps"),
        );
    }
    let calls = own
        .calls
        .iter()
        .flatten()
        .map(|call| link(place, name, call, given))
        .collect::<Checked<Vec<_>>>()?;
    let mut environment: BTreeMap<String, String> = common.environment.clone();
    environment.extend(own.environment.clone());
    let secrets = own.secrets.clone().unwrap_or_default();
    for variable in environment.keys().chain(&secrets) {
        if !is_variable(variable) {
            return place.invalid(
                &["services", name],
                format!("'{variable}' is not a variable's name: A to Z, digits and '_'"),
            );
        }
    }
    Ok(Service {
        package: own.package.clone().unwrap_or_else(|| name.to_owned()),
        ports: ports(place, name, own)?,
        name: name.to_owned(),
        cpu,
        memory,
        count: own.count.or(common.count).unwrap_or(1),
        scaling,
        health_path: own.health_path.clone().unwrap_or_else(|| "/health/live".into()),
        health_command: own.health_command.clone().or(common.health_command.clone()),
        database: own.database.clone(),
        publishes: own.publishes.clone().unwrap_or_default(),
        consumes: own.consumes.clone().unwrap_or_default(),
        calls,
        environment,
        secrets,
        alarms: own.alarms.or(common.alarms).unwrap_or(false),
        log_retention_days,
    })
}

fn ports(place: &Place, name: &str, own: &file::Service) -> Checked<Vec<Port>> {
    let mut ports: Vec<Port> = Vec::new();
    for (label, number) in &own.ports {
        if *number == 0 {
            return place.invalid(&["services", name, "ports", label], "0 is not a port to listen on");
        }
        if let Some(other) = ports.iter().find(|port| port.number == *number) {
            return place.invalid(
                &["services", name, "ports", label],
                format!("{number} is already the port '{}' of this service", other.name),
            );
        }
        ports.push(Port {
            name: label.clone(),
            number: *number,
            variable: variable_of(own, label),
        });
    }
    for label in own.port_variables.keys() {
        if !own.ports.contains_key(label) {
            return place.invalid(
                &["services", name, "port_variables", label],
                format!("there is no port '{label}' in this service"),
            );
        }
    }
    Ok(ports)
}

fn variable_of(own: &file::Service, label: &str) -> String {
    match own.port_variables.get(label) {
        Some(variable) => variable.clone(),
        None if label == "http" => "PORT".into(),
        None => format!("{}_PORT", label.to_uppercase().replace('-', "_")),
    }
}

fn link(place: &Place, name: &str, call: &file::Call, given: &Settings) -> Checked<Call> {
    let at = ["services", name, "calls"];
    let Some(target) = given.services.get(&call.service) else {
        return place.invalid(
            &at,
            format!(
                "there is no service '{}'; {}",
                call.service,
                known("services", given.services.keys())
            ),
        );
    };
    let Some(number) = target.ports.get(&call.port) else {
        return place.invalid(
            &at,
            format!(
                "'{}' has no port '{}'; {}",
                call.service,
                call.port,
                known("its ports", target.ports.keys())
            ),
        );
    };
    if call.service == name {
        return place.invalid(&at, "a service does not call itself");
    }
    if let Some(variable) = call.secret.as_ref().filter(|variable| !is_variable(variable)) {
        return place.invalid(
            &at,
            format!("'{variable}' is not a variable's name: A to Z, digits and '_'"),
        );
    }
    let port = Port {
        name: call.port.clone(),
        number: *number,
        variable: variable_of(target, &call.port),
    };
    Ok(Call {
        service: call.service.clone(),
        port,
        secret: call.secret.clone(),
    })
}

fn ingress(place: &Place, given: &Settings, services: &[Service]) -> Checked<Ingress> {
    let own = &given.ingress;
    let Some(name) = own.service.clone() else {
        return place.invalid(&["ingress"], "names no service; say `service = \"…\"`");
    };
    let Some(service) = services.iter().find(|service| service.name == name) else {
        return place.invalid(
            &["ingress", "service"],
            format!(
                "there is no service '{name}'; {}",
                known("services", given.services.keys())
            ),
        );
    };
    if service.http_port().is_none() {
        return place.invalid(&["ingress", "service"], format!("'{name}' has no port named http"));
    }
    let port = own.port.unwrap_or(if own.certificate.is_some() { 443 } else { 80 });
    if port == 0 {
        return place.invalid(&["ingress", "port"], "0 is not a port to listen on");
    }
    let probe = own.probe.clone().unwrap_or_else(|| service.health_path.clone());
    if !probe.starts_with('/') {
        return place.invalid(
            &["ingress", "probe"],
            format!("'{probe}' is not a path: it begins with '/'"),
        );
    }
    let curl = own
        .curl
        .clone()
        .unwrap_or_else(|| vec![format!("curl -i {{url}}{probe}")]);
    Ok(Ingress {
        service: name,
        port,
        certificate: own.certificate.clone(),
        probe,
        curl,
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

fn known<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() {
        format!("{what}: none are declared")
    } else {
        format!("{what}: {}", names.join(", "))
    }
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

fn is_variable(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}
