// Address ranges, IPv4 and IPv6.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace kcni::cni {

class Cidr {
 public:
  /// "10.244.0.0/16", "fd00::/64"; nullopt when it is none.
  static std::optional<Cidr> parse(const std::string& text);

  /// False also for what is no address at all.
  bool contains(const std::string& address) const;
  bool overlaps(const Cidr& other) const;
  /// Whether it can be no cluster's pod range: it has more than a /8 of IPv4, or a /16 of IPv6.
  bool too_wide() const;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  int family_ = 0;
  int bits_ = 0;
  std::array<unsigned char, 16> bytes_{};
};

bool any_contains(const std::vector<Cidr>& ranges, const std::string& address);

}  // namespace kcni::cni
