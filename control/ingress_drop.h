// Makes the kernel drop every frame that a device receives, behind AF_PACKET's tap and XDP and in
// front of everything else: a clsact filter with a BPF program of two instructions. Needs no tool
// and no compiler, only cls_bpf in the kernel.
#pragma once

#include <expected>
#include <string>

#include "control/error.h"
#include "control/rtnl.h"

namespace headgate::control {

// Puts the filter on; `made_qdisc` says whether clsact itself was ours to make. Repeatable.
[[nodiscard]] std::expected<void, Error> drop_ingress(RtnlSocket& socket, int interface_index,
                                                      const std::string& interface,
                                                      bool& made_qdisc);
// Takes the filter off, and clsact if `made_qdisc`. Nothing there is fine.
void allow_ingress(RtnlSocket& socket, int interface_index, bool made_qdisc);

// Whether clsact (or the older ingress) is on the device already.
[[nodiscard]] bool has_ingress_qdisc(RtnlSocket& socket, int interface_index);

}  // namespace headgate::control
