#include "common/cni/residue.h"

#include "common/base/error.h"
#include "common/cni/flannel_marks.h"
#include "common/cni/pod_visit.h"
#include "tests/unit/catch.h"

using namespace kcni;
using cni::CleanupRequest;
using cni::Residue;
using Mode = cni::CleanupRequest::Mode;
using Args = std::vector<std::string>;

TEST_CASE("residue: arguments come from a fixed vocabulary") {
  CHECK(cni::script_args({}) == Args{"check"});
  CleanupRequest request{.mode = Mode::kClean,
                         .vnis = {1, 4096},
                         .networks = {"10.244.0.0/16", "2001:cafe:42::/56"},
                         .pods_left = 0,
                         .dry_run = true};
  CHECK(cni::script_args(request) == Args{"clean", "vni=1", "vni=4096", "net=10.244.0.0/16",
                                          "net=2001:cafe:42::/56", "pods-left=0", "dry-run"});
  CHECK(cni::script_args({.mode = Mode::kLinksOnly}) == Args{"links-only"});
  CHECK(cni::script_args({.mode = Mode::kWaitConf, .wait = std::chrono::seconds(5)}) ==
        Args{"wait-conf", "wait=5", "want=cilium"});
}

TEST_CASE("residue: nothing of the cluster's that is no CIDR or VNI reaches a shell") {
  for (const char* network : {"", "10.244.0.0", "10.244.0.0/33", "10.0.0.0/8;reboot", "$(x)/8",
                              "10.0.0.0/8 x", "::/129", "/8", "a/8"}) {
    CAPTURE(network);
    CHECK_THROWS_AS(cni::script_args({.networks = {network}}), Error);
  }
  CHECK_THROWS_AS(cni::script_args({.vnis = {1U << 24}}), Error);
}

TEST_CASE("residue: the report is read, a greeting is skipped") {
  auto report = cni::parse_report(
      "Welcome to w1!\n"
      "removed\tlink\tcni0\n"
      "removed\trule\tiptables-nft nat -A POSTROUTING -j FLANNEL-POSTRTG\n"
      "kept\tconf\t/etc/cni/net.d/10-flannel.conflist\tpods with a flannel address left here: 2\n"
      "failed\tlink\tflannel.1\tis bridge, expected vxlan 1: left alone\n"
      "end\t1\n",
      1);
  CHECK(report.complete());
  CHECK_FALSE(report.clean());
  REQUIRE(report.removed.size() == 2);
  CHECK(report.removed[0] == Residue{"link", "cni0", ""});
  CHECK(report.kept[0].detail == "pods with a flannel address left here: 2");
  CHECK(describe(report.failed[0]) == "link flannel.1: is bridge, expected vxlan 1: left alone");
}

TEST_CASE("residue: a report that was cut off is not complete") {
  CHECK_FALSE(cni::parse_report("", 0).complete());
  CHECK_FALSE(cni::parse_report("removed\tlink\tcni0\n", 0).complete());
  CHECK_FALSE(cni::parse_report("end\t0\n", 127).complete());
  CHECK_FALSE(cni::parse_report("end\t", 0).complete());
  CHECK(cni::parse_report("end\t0\n", 0).clean());
}

TEST_CASE("residue: dry run, found and waiting") {
  CHECK(cni::parse_report("would\tip link delete dev cni0\nend\t0\n", 0).would ==
        Args{"ip link delete dev cni0"});
  auto check = cni::parse_report("found\tlink\tcni0\nend\t1\n", 1);
  CHECK(check.found.size() == 1);
  CHECK_FALSE(check.clean());
  CHECK(cni::parse_report("conf\t05-cilium.conflist\nend\t0\n", 0).conf == "05-cilium.conflist");
  CHECK(cni::parse_report("failed\tconf\t/etc/cni/net.d\tempty\nend\t3\n", 3).waited_in_vain());
}

TEST_CASE("residue: a node cannot paint the terminal") {
  auto report = cni::parse_report("found\tlink\tx\x1b[2J\rfoo\nend\t1\n", 1);
  for (char c : report.found.at(0).name) CHECK(static_cast<unsigned char>(c) >= 0x20);
}

TEST_CASE("residue: the summary names links first, each other kind once") {
  CHECK(cni::summary({{"conf", "/etc/cni/net.d/10-flannel.conflist", ""},
                      {"veth", "veth1", ""},
                      {"veth", "veth2", ""},
                      {"link", "cni0", ""},
                      {"link", "flannel.1", ""},
                      {"rule", "a", ""},
                      {"chain", "b", ""}}) == "cni0, flannel.1, CNI conf, veths, iptables");
  CHECK(cni::summary({}) == "");
}

TEST_CASE("residue: the script does nothing before its last line") {
  const auto& script = cni::residue_script();
  CHECK(script.starts_with("#!/bin/sh\n"));
  CHECK(script.ends_with("\nmain \"$@\" </dev/null\n"));
  CHECK(script.find("save") == std::string::npos);  // no table is ever saved and restored
}

TEST_CASE("residue: how far the script is") {
  auto step = cni::parse_step("step\t3\t11\tlink");
  REQUIRE(step);
  CHECK(step->number == 3);
  CHECK(step->of == 11);
  CHECK(step->kind == "link");
  for (const char* line : {"", "step", "step\t3", "step\tx\t11\tlink", "found\tlink\tcni0\t"}) {
    CAPTURE(line);
    CHECK_FALSE(cni::parse_step(line));
  }
}

TEST_CASE("residue: what flannel wrote on the Node, and nothing of others") {
  auto node = kube::Json::parse(R"({"metadata":{"name":"w1","annotations":{
    "flannel.alpha.coreos.com/backend-type":"vxlan","flannel.alpha.coreos.communism/x":"1","mine/a":"b"}},
    "status":{"conditions":[{"type":"Ready","reason":"KubeletReady"},
      {"type":"NetworkUnavailable","reason":"FlannelIsUp"}]}})");
  auto marks = cni::flannel_marks(node);
  REQUIRE(marks.size() == 2);
  CHECK(marks[0] == Residue{"mark", "annotation flannel.alpha.coreos.com/backend-type", ""});
  CHECK(marks[1] == Residue{"mark", "condition NetworkUnavailable (FlannelIsUp)", ""});
  auto commands = cni::commands_to_remove_marks(node);
  REQUIRE(commands.size() == 2);
  CHECK(commands[0] == "kubectl annotate node/w1 flannel.alpha.coreos.com/backend-type-");
  node["status"]["conditions"][1]["reason"] = "CiliumIsUp";
  CHECK(cni::flannel_marks(node).size() == 1);
  CHECK(cni::flannel_marks(kube::Json::object()).empty());
}

TEST_CASE("residue: the pod that visits a node") {
  cni::PodVisit where{.node = "w1", .ns = "kube-system", .image = "tools:1"};
  auto job = cni::cleanup_job(where, {.mode = Mode::kCheck, .networks = {"10.244.0.0/16"}},
                              Deadline::never());
  const auto& pod = kube::at(job, "/spec/template/spec");
  CHECK(kube::text_at(pod, "/nodeName") == "w1");
  CHECK(kube::flag_at(pod, "/hostNetwork"));
  CHECK(kube::flag_at(pod, "/containers/0/securityContext/privileged"));
  CHECK(kube::text_at(pod, "/tolerations/0/operator") == "Exists");
  CHECK(kube::text_at(pod, "/containers/0/command/4") == "check");
  CHECK(kube::text_at(pod, "/containers/0/command/5") == "net=10.244.0.0/16");
  CHECK(kube::number_at(job, "/spec/backoffLimit", -1) == 0);
  CHECK(kube::number_at(job, "/spec/ttlSecondsAfterFinished") > 0);
  CHECK(kube::number_at(job, "/spec/activeDeadlineSeconds") > 0);
  // The API server makes one dollar of two in a variable's value.
  CHECK(cni::residue_script().find("$$") == std::string::npos);
  CHECK(cni::residue_script().size() < 100'000);  // a variable may have 128 KiB
}

TEST_CASE("residue: an image that the node has already") {
  auto node = kube::Json::parse(R"({"status":{"images":[{"names":["a:1","b:2"]}]}})");
  CHECK(cni::image_on(node, {"c:3", "b:2"}) == "b:2");
  CHECK(cni::image_on(node, {"c:3"}) == "c:3");
  CHECK(cni::image_on(node, {}).empty());
}
