//! Network addresses, written like Python's `str` of `ipaddress` objects.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::function::cache_key::{CacheKey, KeyForm, shape};

macro_rules! addresses {
    ($($address:ty)*) => {$(
        impl CacheKey for $address {
            fn write(&self, key: &mut String, _form: KeyForm) {
                // Writing to a `String` cannot fail.
                let _ = write!(key, "{self}");
            }

            shape!(Word);
        }
    )*};
}

addresses! { IpAddr Ipv4Addr Ipv6Addr SocketAddrV4 }

/// Written like `[address%scope]:port`, followed by `/flow` if there is a flow label.
impl CacheKey for SocketAddrV6 {
    fn write(&self, key: &mut String, _form: KeyForm) {
        let flow = self.flowinfo();
        // Writing to a `String` cannot fail.
        let _ = if flow == 0 { write!(key, "{self}") } else { write!(key, "{self}/{flow}") };
    }

    shape!(Word);
}

impl CacheKey for SocketAddr {
    fn write(&self, key: &mut String, form: KeyForm) {
        match self {
            SocketAddr::V4(address) => address.write(key, form),
            SocketAddr::V6(address) => address.write(key, form),
        }
    }

    shape!(Word);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &dyn CacheKey) -> String {
        let mut key = String::new();
        value.write(&mut key, KeyForm { nested: false, exact: true });
        key
    }

    #[test]
    fn addresses_are_written_like_pythons() {
        assert_eq!(text(&Ipv4Addr::LOCALHOST), "127.0.0.1");
        assert_eq!(text(&IpAddr::V6(Ipv6Addr::LOCALHOST)), "::1");
        assert_eq!(text(&SocketAddr::from(([10, 0, 0, 1], 80))), "10.0.0.1:80");
    }

    #[test]
    fn socket_addresses_of_another_flow_have_another_text() {
        let of = |flow, scope| text(&SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, flow, scope)));
        assert_eq!(of(0, 0), "[::1]:80");
        assert_eq!(of(0, 7), "[::1%7]:80");
        assert_eq!(of(7, 0), "[::1]:80/7");
    }
}
