//! Validation of an environment's settings: defaults, names that exist, values that AWS accepts.

mod database;
mod ingress;
mod kafka;
mod network;
mod service;
mod variables;

use std::path::{Path, PathBuf};

use super::error::ManifestError;
use super::file::Settings;
use super::problem::Problem;
use super::source::SourceText;
use super::{Account, Alarms, Database, Manifest, Service};

type Validated<T> = Result<T, ManifestError>;

/// The file and environment that an error names.
struct ErrorContext<'a> {
    source: &'a SourceText,
    environment: &'a str,
}

impl ErrorContext<'_> {
    /// Returns the error at a key.
    fn reject<T>(&self, keys: &[&str], problem: Problem) -> Validated<T> {
        Err(self.source.invalid(self.environment, keys, problem))
    }

    /// Accepts a number in a range.
    fn in_range(&self, keys: &[&str], value: u32, min: u32, max: u32, reason: &'static str) -> Validated<()> {
        if (min..=max).contains(&value) {
            return Ok(());
        }
        let (value, range) = (value.into(), min.into()..=max.into());
        self.reject(keys, Problem::OutOfRange { value, range, reason })
    }

    /// Accepts a name of AWS and DNS: of a-z, 0-9 and single hyphens, starting with a-z.
    fn name(&self, keys: &[&str], name: &str, max: usize) -> Validated<()> {
        let accepted = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_name = name.len() <= max
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && !name.ends_with('-')
            && !name.contains("--")
            && name.chars().all(accepted);
        if is_name {
            return Ok(());
        }
        let name = name.to_owned();
        self.reject(keys, Problem::Name { name, max })
    }

    /// Accepts a path of a URL.
    fn path(&self, keys: &[&str], path: &str) -> Validated<()> {
        if path.starts_with('/') {
            Ok(())
        } else {
            self.reject(keys, Problem::Path(path.to_owned()))
        }
    }
}

/// Returns the manifest of these settings.
pub fn manifest(
    source: &SourceText,
    environment: &str,
    settings: &Settings,
    environments: Vec<String>,
) -> Validated<Manifest> {
    let context = ErrorContext { source, environment };
    let Some(project) = settings.project.clone() else {
        return context.reject(&["project"], Problem::Missing);
    };
    context.name(&["project", "name"], &project.name, 26)?;
    context.name(&["environments", environment], environment, 12)?;
    let (account, problem) = Account::parse(settings);
    if let Some((key, problem)) = problem {
        return context.reject(key, problem);
    }
    let network = network::network(&context, &settings.network)?;
    let databases = settings
        .databases
        .iter()
        .map(|(key, written)| database::database(&context, key, written, settings))
        .collect::<Validated<Vec<_>>>()?;
    let kafka = kafka::kafka(&context, settings, &network)?;
    let topics = settings
        .topics
        .iter()
        .map(|(name, written)| kafka::topic(&context, name, written, kafka.as_ref()))
        .collect::<Validated<Vec<_>>>()?;
    let services = settings
        .services
        .iter()
        .map(|(name, written)| service::service(&context, name, written, settings, network.cidr()))
        .collect::<Validated<Vec<_>>>()?;
    if services.is_empty() {
        return context.reject(&["services"], Problem::NoServices);
    }
    one_owner_each(&context, &databases, &services)?;
    variables::one_meaning_each(&context, &services)?;
    let alarms = alarms(&context, settings, &services)?;
    Ok(Manifest {
        workspace: workspace(source, &project.workspace),
        project: project.name,
        environment: environment.to_owned(),
        environments,
        demo_data: settings.demo_data,
        protected: settings.protected,
        customer_key: settings.customer_key,
        account,
        ca_bundle: ca_bundle(source, settings),
        ingress: ingress::ingress(&context, settings, &services)?,
        alarms,
        network,
        kafka,
        databases,
        topics,
        services,
    })
}

fn workspace(source: &SourceText, relative: &str) -> PathBuf {
    let directory = source.path.parent().unwrap_or_else(|| Path::new("."));
    let joined = directory.join(relative);
    joined.canonicalize().unwrap_or(joined)
}

/// Returns the absolute path of the file with the databases' authorities.
fn ca_bundle(source: &SourceText, settings: &Settings) -> Option<PathBuf> {
    let written = settings.database_defaults.ca_bundle.as_ref()?;
    let directory = source.path.parent().unwrap_or_else(|| Path::new("."));
    let joined = directory.join(written);
    Some(std::path::absolute(&joined).unwrap_or(joined))
}

/// Alarms exist if the environment enables them, or one of its services.
fn alarms(context: &ErrorContext, settings: &Settings, services: &[Service]) -> Validated<Option<Alarms>> {
    let email = settings.alarms.email.clone();
    if let Some(address) = email.as_ref().filter(|address| !is_email(address)) {
        return context.reject(&["alarms", "email"], Problem::Email(address.clone()));
    }
    let enabled = settings.alarms.enabled.unwrap_or(false) || services.iter().any(|service| service.alarms);
    Ok(enabled.then_some(Alarms { email }))
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && !text.contains(|c: char| c.is_whitespace() || c == ',')
    })
}

/// A database belongs to one service.
fn one_owner_each(context: &ErrorContext, databases: &[Database], services: &[Service]) -> Validated<()> {
    for database in databases {
        let users: Vec<&Service> = services
            .iter()
            .filter(|s| s.database.as_ref() == Some(&database.key))
            .collect();
        if let [owner, second, ..] = users.as_slice() {
            let problem = Problem::SharedDatabase {
                database: database.key.clone(),
                owner: owner.name.clone(),
            };
            return context.reject(&["services", &second.name, "database"], problem);
        }
    }
    Ok(())
}

/// Returns true for AWS's name of a machine size: the prefix, a family, a dot and a size.
fn is_machine_size(text: &str, prefix: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    text.strip_prefix(prefix)
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(family, size)| part(family) && part(size))
}

/// Returns true for a variable name in upper case.
fn is_variable(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}
