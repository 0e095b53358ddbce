#include "common/cni/cidr.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace kcni::cni {

namespace {

struct Address {
  int family = 0;
  std::array<unsigned char, 16> bytes{};
};

std::optional<Address> parse_address(const std::string& text) {
  Address address;
  address.family = text.find(':') == std::string::npos ? AF_INET : AF_INET6;
  if (inet_pton(address.family, text.c_str(), address.bytes.data()) != 1) return std::nullopt;
  return address;
}

bool same_prefix(const std::array<unsigned char, 16>& a, const std::array<unsigned char, 16>& b,
                 int bits) {
  auto whole = static_cast<std::size_t>(bits / 8);
  if (!std::equal(a.begin(), a.begin() + static_cast<long>(whole), b.begin())) return false;
  int rest = bits % 8;
  return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

}  // namespace

std::optional<Cidr> Cidr::parse(const std::string& text) {
  auto slash = text.find('/');
  if (slash == std::string::npos) return std::nullopt;
  auto address = parse_address(text.substr(0, slash));
  Cidr cidr;
  auto [end, error] =
      std::from_chars(text.data() + slash + 1, text.data() + text.size(), cidr.bits_);
  if (!address || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (cidr.bits_ < 0 || cidr.bits_ > (address->family == AF_INET ? 32 : 128)) return std::nullopt;
  cidr.text_ = text;
  cidr.family_ = address->family;
  cidr.bytes_ = address->bytes;
  return cidr;
}

bool Cidr::too_wide() const {
  return bits_ < (family_ == AF_INET ? 8 : 16);
}

bool Cidr::contains(const std::string& text) const {
  auto address = parse_address(text);
  return address && address->family == family_ && same_prefix(address->bytes, bytes_, bits_);
}

bool Cidr::overlaps(const Cidr& other) const {
  return family_ == other.family_ &&
         same_prefix(bytes_, other.bytes_, std::min(bits_, other.bits_));
}

bool any_contains(const std::vector<Cidr>& ranges, const std::string& address) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const Cidr& range) { return range.contains(address); });
}

}  // namespace kcni::cni
