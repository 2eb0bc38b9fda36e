//! Who vouches for the endpoint's servers: authorities of this state directory alone.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Context;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// Its key leaves the state directory no more than the databases' data do.
#[derive(Debug, Clone)]
pub struct Authority {
    folder: PathBuf,
    name: &'static str,
}

impl Authority {
    /// For databases, as Amazon RDS has an authority of its own in each region.
    pub fn of_databases(state_dir: &Path) -> Self {
        Self {
            folder: state_dir.join("rds-authority"),
            name: "RDS of the embedded endpoint, Root CA",
        }
    }

    /// For what everybody may reach, where AWS has certificates of ACM: load balancers.
    pub fn of_public_names(state_dir: &Path) -> Self {
        Self {
            folder: state_dir.join("authority"),
            name: "Embedded endpoint, Root CA",
        }
    }

    /// Where its certificate is, in PEM, once it has issued one.
    pub fn path(&self) -> PathBuf {
        self.file("certificate.pem")
    }

    /// Its certificate, in PEM: what a client trusts.
    pub fn certificate(&self) -> anyhow::Result<String> {
        self.ready()?;
        fs::read_to_string(self.path()).with_context(|| format!("the certificate of '{}' cannot be read", self.name))
    }

    /// A certificate for a server with these names and addresses, and its key.
    pub fn issue(&self, names: &[String]) -> anyhow::Result<(Certificate, KeyPair)> {
        self.ready()?;
        let key = fs::read_to_string(self.file("key.pem"))
            .with_context(|| format!("the key of '{}' cannot be read", self.name))?;
        let issuer = Issuer::new(self.params()?, KeyPair::from_pem(&key)?);
        let own = KeyPair::generate()?;
        let mut server = CertificateParams::new(names)?;
        server
            .distinguished_name
            .push(DnType::CommonName, names.first().map_or("localhost", String::as_str));
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let server = server.signed_by(&own, &issuer)?;
        Ok((server, own))
    }

    /// Writes `server.crt` and `server.key` of a server at this address.
    pub fn certify(&self, address: Ipv4Addr, data: &Path) -> anyhow::Result<()> {
        let (server, key) = self.issue(&[address.to_string(), "localhost".to_owned()])?;
        secret(&data.join("server.key"), &key.serialize_pem())?;
        fs::write(data.join("server.crt"), server.pem()).context("cannot write the certificate of a server")
    }

    /// Makes the authority, once; the certificate is written last.
    fn ready(&self) -> anyhow::Result<()> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _held = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if self.path().is_file() {
            return Ok(());
        }
        let cannot = |what: &str| format!("cannot {what} of '{}' in {}", self.name, self.folder.display());
        fs::create_dir_all(&self.folder).with_context(|| cannot("make the folder"))?;
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700))?;
        let key = KeyPair::generate()?;
        let certificate = self.params()?.self_signed(&key)?;
        secret(&self.file("key.pem"), &key.serialize_pem())?;
        let beside = self.file("certificate.new");
        fs::write(&beside, certificate.pem())?;
        fs::rename(beside, self.path()).with_context(|| cannot("keep the certificate"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The same each time: what is issued names its issuer by these, and by the key.
    fn params(&self) -> anyhow::Result<CertificateParams> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, self.name);
        Ok(params)
    }
}

/// A file that nobody else reads, at no moment.
fn secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let _ = fs::remove_file(path);
    let file = rustix::fs::open(
        path,
        rustix::fs::OFlags::CREATE | rustix::fs::OFlags::EXCL | rustix::fs::OFlags::WRONLY,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    )
    .with_context(|| format!("cannot make {}", path.display()))?;
    std::io::Write::write_all(&mut fs::File::from(file), text.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}
