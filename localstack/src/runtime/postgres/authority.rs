//! Who vouches for the endpoint's databases, as Amazon RDS has an authority in each region.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// An authority of this state directory alone: its key leaves it no more than the databases' data do.
#[derive(Debug, Clone)]
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    pub fn of(state_dir: &Path) -> Self {
        Self {
            folder: state_dir.join("rds-authority"),
        }
    }

    /// Its certificate, in PEM: what a client trusts.
    pub fn certificate(&self) -> anyhow::Result<String> {
        self.ready()?;
        fs::read_to_string(self.file("certificate.pem")).context("the authority of the databases cannot be read")
    }

    /// Writes `server.crt` and `server.key` of a server at this address.
    pub fn certify(&self, address: Ipv4Addr, data: &Path) -> anyhow::Result<()> {
        self.ready()?;
        let key = fs::read_to_string(self.file("key.pem")).context("the key of the databases' authority is gone")?;
        let issuer = Issuer::new(params()?, KeyPair::from_pem(&key)?);
        let own = KeyPair::generate()?;
        let server = CertificateParams::new(vec![address.to_string(), "localhost".to_owned()])?;
        let server = server.signed_by(&own, &issuer)?;
        secret(&data.join("server.key"), &own.serialize_pem())?;
        fs::write(data.join("server.crt"), server.pem()).context("cannot write the certificate of a database")
    }

    /// Makes the authority, once; the certificate is written last.
    fn ready(&self) -> anyhow::Result<()> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _held = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if self.file("certificate.pem").is_file() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder).context("cannot make the folder of the databases' authority")?;
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700))?;
        let key = KeyPair::generate()?;
        let certificate = params()?.self_signed(&key)?;
        secret(&self.file("key.pem"), &key.serialize_pem())?;
        let beside = self.file("certificate.new");
        fs::write(&beside, certificate.pem())?;
        fs::rename(beside, self.file("certificate.pem")).context("cannot keep the authority of the databases")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The same each time: what is issued names its issuer by these, and by the key.
fn params() -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
        .distinguished_name
        .push(DnType::CommonName, "RDS of the embedded endpoint, Root CA");
    Ok(params)
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
