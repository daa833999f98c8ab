#include "control/ingress_drop.h"

#include <bit>
#include <cerrno>
#include <cstring>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/tc.h>
#include <sys/syscall.h>

namespace headgate::control {
namespace {

constexpr uint32_t clsact_handle = TC_H_MAKE(TC_H_CLSACT, 0U);
constexpr uint32_t ingress_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
constexpr uint32_t filter_priority = 1;         // in front of anybody else's
constexpr uint32_t filter_handle = 0x68670001;  // "hg"

// r0 = TC_ACT_SHOT; exit. A descriptor, or -1 with errno.
int load_drop_program() {
  const bpf_insn program[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K,
       .dst_reg = BPF_REG_0,
       .src_reg = 0,
       .off = 0,
       .imm = TC_ACT_SHOT},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  };
  const char license[] = "Apache-2.0";
  bpf_attr attributes;
  std::memset(&attributes, 0, sizeof(attributes));
  attributes.prog_type = BPF_PROG_TYPE_SCHED_CLS;
  attributes.insn_cnt = std::size(program);
  attributes.insns = std::bit_cast<uint64_t>(&program[0]);
  attributes.license = std::bit_cast<uint64_t>(&license[0]);
  std::memcpy(attributes.prog_name, "headgate_drop", 13);
  return static_cast<int>(syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof(attributes)));
}

NlMessage tc_message(int type, int flags, const tcmsg& header, const char* kind) {
  NlMessage message(nlmsg_alloc_simple(type, flags));
  tcmsg copy = header;
  nlmsg_append(message.get(), &copy, sizeof(copy), NLMSG_ALIGNTO);
  nla_put_string(message.get(), TCA_KIND, kind);
  return message;
}

tcmsg qdisc_header(int interface_index) {
  tcmsg header{};
  header.tcm_ifindex = interface_index;
  header.tcm_handle = clsact_handle;
  header.tcm_parent = TC_H_CLSACT;
  return header;
}

tcmsg filter_header(int interface_index) {
  tcmsg header{};
  header.tcm_ifindex = interface_index;
  header.tcm_handle = filter_handle;
  header.tcm_parent = ingress_parent;
  header.tcm_info = TC_H_MAKE(filter_priority << 16, static_cast<uint32_t>(htons(ETH_P_ALL)));
  return header;
}

Error drop_error(const std::string& interface, const std::string& what) {
  return {interface + ": cannot keep the kernel from receiving: " + what +
          ": needs root, and cls_bpf in the kernel (`modprobe cls_bpf`)"};
}

}  // namespace

std::expected<void, Error> drop_ingress(RtnlSocket& socket, int interface_index,
                                        const std::string& interface, bool& made_qdisc) {
  int code = socket.request(
      tc_message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, qdisc_header(interface_index), "clsact"));
  if (code < 0 && code != -NLE_EXIST) {
    return std::unexpected(drop_error(interface, "clsact: " + nl_text(code)));
  }
  made_qdisc = code == 0;
  const int program = load_drop_program();
  if (program < 0) {
    const std::string reason = std::strerror(errno);
    allow_ingress(socket, interface_index, made_qdisc);
    return std::unexpected(drop_error(interface, "bpf: " + reason));
  }
  NlMessage message = tc_message(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE,
                                 filter_header(interface_index), "bpf");
  nlattr* options = nla_nest_start(message.get(), TCA_OPTIONS);
  nla_put_u32(message.get(), TCA_BPF_FD, static_cast<uint32_t>(program));
  nla_put_string(message.get(), TCA_BPF_NAME, "headgate");
  nla_put_u32(message.get(), TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
  nla_nest_end(message.get(), options);
  code = socket.request(std::move(message));
  close(program);  // the filter holds it
  if (code == 0) return {};
  allow_ingress(socket, interface_index, made_qdisc);
  return std::unexpected(drop_error(interface, "filter: " + nl_text(code)));
}

void allow_ingress(RtnlSocket& socket, int interface_index, bool made_qdisc) {
  static_cast<void>(
      socket.request(tc_message(RTM_DELTFILTER, 0, filter_header(interface_index), "bpf")));
  if (!made_qdisc) return;
  static_cast<void>(
      socket.request(tc_message(RTM_DELQDISC, 0, qdisc_header(interface_index), "clsact")));
}

bool has_ingress_qdisc(RtnlSocket& socket, int interface_index) {
  nl_cache* cache = nullptr;
  if (rtnl_qdisc_alloc_cache(socket.get(), &cache) < 0) return false;
  rtnl_qdisc* qdisc = rtnl_qdisc_get_by_parent(cache, interface_index, TC_H_CLSACT);
  const bool found = qdisc != nullptr;
  if (found) rtnl_qdisc_put(qdisc);
  nl_cache_free(cache);
  return found;
}

}  // namespace headgate::control
