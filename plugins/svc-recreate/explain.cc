// What is wrong with Services, and the cheapest cure.
#include <fmt/format.h>

#include <algorithm>

#include "common/base/text.h"
#include "common/cli/cni_flags.h"
#include "common/cli/mending.h"
#include "common/cni/services_explain.h"
#include "plugins/svc-recreate/svc_recreate.h"

namespace kcni::svc_recreate {

using kube::Json;

namespace {

constexpr Milliseconds kMoment{2000};

constexpr const char* kNextSteps =
    "where clients still cannot reach a Service that is fine here: `kubectl cni cleanup --all "
    "--check` looks at the nodes themselves, `kubectl cni cleanup --all --only conntrack` takes "
    "old "
    "connections, then restart kube-proxy on the client's node, then recreate the Service";

std::string told(const std::vector<cni::Finding>& findings) {
  std::vector<std::string> words;
  for (const auto& finding : findings) {
    words.push_back(fmt::format("{}: `{}`", finding.what, finding.cure));
  }
  return join(words, "; then ");
}

// For -o json and yaml.
Json as_object(const Json& service, const std::vector<cni::Finding>& findings) {
  Json object = {{"apiVersion", "v1"}, {"kind", "Service"}, {"findings", Json::array()}};
  object["metadata"] = {{"name", kube::name_of(service)},
                        {"namespace", kube::namespace_of(service)}};
  for (const auto& finding : findings) {
    object["findings"].push_back({{"what", finding.what}, {"cure", finding.cure}});
  }
  return object;
}

cni::ServicesView look(cli::Context& context, kube::Client client) {
  return context.loop().run(cni::look_at_services(client, cli::named_daemonsets(context)));
}

// Of each Service what two looks say, a moment apart, if the first says anything of any.
std::vector<std::vector<cni::Finding>> findings_of(cli::Context& context, kube::Client client,
                                                   const std::vector<Json>& services) {
  std::vector<std::vector<cni::Finding>> findings;
  auto view = look(context, client);
  for (const auto& service : services) findings.push_back(cni::explain(service, view));
  bool none =
      std::all_of(findings.begin(), findings.end(), [](const auto& of) { return of.empty(); });
  if (none) return findings;
  context.loop().run(context.loop().sleep(kMoment));
  view = look(context, client);
  for (std::size_t i = 0; i < services.size(); ++i) {
    if (!findings[i].empty()) findings[i] = cni::explain(services[i], view);
  }
  return findings;
}

void tell(cli::Context& context, const Json& service, const std::string& what,
          const std::string& detail) {
  context.results().done(kube::kServices, kube::namespace_of(service), kube::name_of(service), what,
                         detail, service);
}

}  // namespace

void explain(cli::Context& context) {
  auto selection = selection_from(context);
  auto client = bounded_client(context);
  context.loop().run(cli::mend_services_first(context, client, /*only_looks=*/true));
  auto services = selected_services(context, selection);
  if (services.empty()) return;
  auto all = findings_of(context, client, services);
  bool any_fine = false;
  for (std::size_t i = 0; i < services.size(); ++i) {
    const auto& service = services[i];
    const auto& findings = all[i];
    bool has_selector = !kube::at(service, "/spec/selector").empty();
    if (!findings.empty()) {
      tell(context, as_object(service, findings), "has a problem", told(findings));
    } else if (has_selector) {
      tell(context, as_object(service, findings), "fine", "as far as the API server knows");
      any_fine = true;
    } else {
      tell(context, as_object(service, findings), "not looked into",
           "no selector: its endpoints are written by others");
    }
  }
  if (any_fine) context.note(kNextSteps);
}

}  // namespace kcni::svc_recreate
