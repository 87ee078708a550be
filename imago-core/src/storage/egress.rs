//! Which addresses an HTTP request may go to: a server that fetches what strangers name must not be led into its own
//! network.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::fault;
use crate::{Error, ErrorKind, Result};

/// Where HTTP requests may go: to public addresses only, unless private ones are allowed too.
///
/// It is the resolver of a [`reqwest`] client, so that the address that was checked is the one that is connected to. No
/// resolver sees a literal address: [`check`](Self::check) each URL before it is asked, those of redirects too.
///
/// ```
/// use imago_core::storage::Egress;
///
/// let egress = Egress::public_only();
/// assert!(egress.check(&"http://[::ffff:10.0.0.1]/".parse()?).is_err());
/// let client = reqwest::Client::builder()
///     .redirect(reqwest::redirect::Policy::none())
///     .no_proxy()
///     .dns_resolver(egress)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Egress {
    private: bool,
}

/// All of a host's addresses are refused.
#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host has no public address")
    }
}

impl std::error::Error for Refused {}

impl Egress {
    /// Lets requests go to public addresses only.
    pub const fn public_only() -> Self {
        Self { private: false }
    }

    /// Lets requests go anywhere: to private, loopback and link-local addresses too.
    pub const fn anywhere() -> Self {
        Self { private: true }
    }

    /// Checks what is known of a URL before any request: a literal address.
    pub fn check(self, url: &Url) -> Result<()> {
        if self.private {
            Ok(())
        } else {
            check_literal(url)
        }
    }

    /// The error for a request that failed because its host has no address that it may go to.
    pub fn refusal(self, url: &Url, error: &reqwest::Error) -> Option<Error> {
        fault::find::<Refused>(error).map(|_| refused(url))
    }
}

impl Resolve for Egress {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let public: Vec<SocketAddr> = found
                .iter()
                .copied()
                .filter(|address| private || is_public(address.ip()))
                .collect();
            if public.is_empty() && !found.is_empty() {
                return Err(Refused.into());
            }
            let addresses: Addrs = Box::new(public.into_iter());
            Ok(addresses)
        })
    }
}

/// Checks a literal address, which no resolver sees.
fn check_literal(url: &Url) -> Result<()> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    if is_public(address) {
        return Ok(());
    }
    Err(refused(url))
}

fn refused(url: &Url) -> Error {
    Error::new(
        ErrorKind::StoreNotAllowed,
        format!(
            "the host `{}` has no public address, and HTTP to private networks is off; the configuration can allow it",
            url.host_str().unwrap_or_default()
        ),
    )
}

/// Whether an address belongs to the public internet: not private, loopback, link-local, shared, multicast, reserved or
/// unspecified, nor an IPv6 address that carries such an IPv4 one.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0                                        // "this network"
        || a >= 224                                 // multicast, reserved, broadcast
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()                  // the clouds' metadata services among them
        || address.is_documentation()
        || (a == 100 && (64..128).contains(&b))     // shared, RFC 6598
        || (a == 192 && b == 0 && c == 0)           // IETF protocol assignments
        || (a == 192 && b == 88 && c == 99)         // 6to4 relays
        || (a == 198 && (b == 18 || b == 19))       // benchmarks
        || address == Ipv4Addr::new(168, 63, 129, 16)) // Azure's host agent, a public address of its own
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match segments {
        // IPv4-mapped; IPv4-compatible, with `::` and `::1` among them; NAT64, RFC 6052
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_v4(v4(high, low))
        }
        // 6to4
        [0x2002, high, low, ..] => is_public_v4(v4(high, low)),
        // NAT64 with a prefix of the network's own, RFC 8215; Teredo, ORCHID and the other protocol assignments;
        // documentation
        [0x64, 0xff9b, 1, ..] | [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Of all others only the globally routed: unique local, link-local, site-local and multicast lie outside.
        [first, ..] => {
            // ISATAP carries an IPv4 address behind any prefix.
            let isatap = matches!(segments, [_, _, _, _, 0 | 0x200, 0x5efe, ..]);
            first & 0xe000 == 0x2000 && (!isatap || is_public_v4(v4(segments[6], segments[7])))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for (address, public) in [
            ("1.1.1.1", true),
            ("93.184.216.34", true),
            ("172.15.255.255", true),
            ("172.32.0.1", true),
            ("100.63.255.255", true),
            ("100.128.0.0", true),
            ("192.0.1.1", true),
            ("198.17.255.255", true),
            ("223.255.255.255", true),
            ("2606:4700:4700::1111", true),
            ("::ffff:1.1.1.1", true),
            ("64:ff9b::101:101", true),
            ("2002:101:101::1", true),
            ("2a00:1450::5efe:1.1.1.1", true),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("10.0.0.1", false),
            ("100.64.0.1", false),
            ("100.127.255.255", false),
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("169.254.169.254", false),
            ("168.63.129.16", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.0.0.8", false),
            ("192.0.2.1", false),
            ("192.168.1.1", false),
            ("198.18.0.1", false),
            ("198.51.100.7", false),
            ("203.0.113.7", false),
            ("224.0.0.1", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::127.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:10.0.0.1", false),
            ("::ffff:169.254.169.254", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b::a00:1", false),
            ("64:ff9b:1::1", false),
            ("2002:7f00:1::", false),
            ("2002:a00:1::1", false),
            ("2002:c0a8:101::1", false),
            ("2001::1", false),
            ("2001:db8::1", false),
            ("2a00:1450::5efe:10.0.0.1", false),
            ("3fff:1::1", false),
            ("fc00::1", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
            ("4000::1", false),
        ] {
            let parsed: IpAddr = address.parse().unwrap();
            assert_eq!(is_public(parsed), public, "{address}");
        }
    }

    #[test]
    fn literal_addresses_are_checked_in_every_spelling() {
        for url in [
            "http://127.0.0.1/a",
            "http://127.1/a",
            "http://2130706433/a",
            "http://0x7f.1/a",
            "http://0177.0.0.1/a",
            "http://[::1]/a",
            "http://[::ffff:7f00:1]/a",
            "http://169.254.169.254/latest/meta-data/",
        ] {
            let error = check_literal(&Url::parse(url).unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StoreNotAllowed, "{url}");
        }
        check_literal(&Url::parse("http://1.1.1.1/a").unwrap()).unwrap();
        check_literal(&Url::parse("http://localhost/a").unwrap()).unwrap();
    }
}
