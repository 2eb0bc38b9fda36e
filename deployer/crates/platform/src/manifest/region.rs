//! Names of regions, and the partitions that are not supported.

/// A partition of AWS for which the templates are not built: services, endpoints and names differ there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    /// `cn-…`
    China,
    /// `us-gov-…`
    GovCloud,
    /// `us-iso…`, `eu-isoe-…`
    Iso,
}

impl Partition {
    /// Returns the partition of a region; `None` for the partitions in which deployments are supported (AWS General Reference:
    /// "Amazon Resource Names", partitions).
    pub fn unsupported(region: &str) -> Option<Self> {
        let starts = |prefix: &str| region.starts_with(prefix);
        if starts("cn-") {
            Some(Self::China)
        } else if starts("us-gov-") {
            Some(Self::GovCloud)
        } else if starts("us-iso") || starts("eu-iso") {
            Some(Self::Iso)
        } else {
            None
        }
    }

    /// Returns the partition's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::China => "AWS China",
            Self::GovCloud => "AWS GovCloud",
            Self::Iso => "an AWS ISO partition",
        }
    }
}

/// Returns true if a text has the format of a region's name: a partition or continent, a direction, and a number.
pub fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let word = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase());
    match parts.as_slice() {
        [words @ .., number] => {
            (2..=3).contains(&words.len()) && words.iter().all(word) && number.parse::<u32>().is_ok()
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partitions_whose_differences_are_not_built() {
        for (region, partition) in [
            ("cn-north-1", Some(Partition::China)),
            ("us-gov-west-1", Some(Partition::GovCloud)),
            ("us-iso-east-1", Some(Partition::Iso)),
            ("us-isob-east-1", Some(Partition::Iso)),
            ("eu-isoe-west-1", Some(Partition::Iso)),
            ("eu-central-1", None),
            ("us-east-1", None),
            ("eusc-de-east-1", None),
        ] {
            assert_eq!(Partition::unsupported(region), partition, "{region}");
        }
    }

    #[test]
    fn a_region_has_the_format_of_a_region() {
        for right in [
            "eu-central-1",
            "us-gov-west-1",
            "ap-southeast-5",
            "us-iso-east-1",
            "eusc-de-east-1",
        ] {
            assert!(is_region(right), "{right}");
        }
        for wrong in [
            "",
            "nonsense",
            "Frankfurt",
            "eu-central",
            "eu-central-1a",
            "eu_central_1",
            "1-2-3",
        ] {
            assert!(!is_region(wrong), "{wrong}");
        }
    }
}
