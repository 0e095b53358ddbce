// The flags that every command has: kubectl's connection flags and those of conduct.
#pragma once

#include <cxxopts.hpp>
#include <string>

namespace kcni::cli {

inline constexpr const char* kConnectionFlags = "Connection (as kubectl's)";
inline constexpr const char* kCommonFlags = "Common";

void add_connection_flags(cxxopts::Options& options);
void add_common_flags(cxxopts::Options& options, const std::string& default_timeout);

/// A flag of these options, by its long or short name, as help knows it; nullptr when there is
/// none.
const cxxopts::HelpOptionDetails* find_flag(const cxxopts::Options& options,
                                            const std::string& name);

/// Its value may stand in the argument after it ("-n shop"), unlike --dry-run's and a boolean's.
bool wants_value(const cxxopts::HelpOptionDetails& flag);

}  // namespace kcni::cli
