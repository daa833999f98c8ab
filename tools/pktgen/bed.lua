-- What the Pktgen scripts here share: settings from the environment, and the streams of the bed that
-- README.md draws. Written for Pktgen-DPDK 26.02 against its source; not yet run on a NIC.

local bed = {}

local function setting(name, default)
  local value = os.getenv(name)
  if value == nil or value == "" then value = default end
  if value == nil then
    error(name .. " is not set: see README.md beside this script", 0)
  end
  return value
end

local function number(name, default)
  local value = tonumber(setting(name, default))
  if value == nil then error(name .. " is not a number", 0) end
  return value
end

bed.client = setting("CLIENT_PORT", "0") -- Pktgen's ports, by number
bed.server = setting("SERVER_PORT", "1")
bed.gate_mac = setting("GATE_MAC") -- of headgate's port on the client side
bed.family = number("FAMILY", 4)
bed.protocol = setting("PROTOCOL", "udp")
bed.flows = number("FLOWS", 1000)
bed.size = number("SIZE", 64) -- of a frame, with its checksum
bed.seconds = number("SECONDS", 10)

local addresses = {
  [4] = { vip = "198.18.0.80", type = "ipv4", none = "0.0.0.0", one = "0.0.0.1",
    client = function(i) return string.format("198.18.%d.%d", 1 + i // 256, i % 256) end },
  [6] = { vip = "fd00:18::80", type = "ipv6", none = "::", one = "::1",
    client = function(i) return string.format("fd00:18::1:%x", i) end },
}
local ports = { udp = 9, tcp = 80 }

-- Pktgen writes the frames of a range once, into the buffers of a transmit queue: (--rxd + --txd) * 16
-- of them, 32768 by default. More flows than buffers do not come.
local most_flows = 32768

local function range(name, start, least, most, step)
  local set = pktgen.range[name]
  set(bed.client, "start", start)
  set(bed.client, "min", least)
  set(bed.client, "max", most)
  set(bed.client, "inc", step)
end

-- Connection requests: Pktgen's packets bear ACK otherwise, and Lua has no function for a range's
-- flags, only the command line.
local function with_syn()
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write("range ", bed.client, " tcp flags syn\n")
  file:close()
  pktgen.load(name)
  os.remove(name)
end

-- A stream to the VIP, `bed.flows` clients in turn, each with one flow.
function bed.load()
  local of = addresses[bed.family] or error("FAMILY is 4 or 6", 0)
  local port = ports[bed.protocol] or error("PROTOCOL is udp or tcp", 0)
  if bed.flows < 1 or bed.flows > most_flows then
    error("FLOWS is from 1 to " .. most_flows, 0)
  end
  pktgen.stop(bed.client)
  pktgen.range.set_type(bed.client, of.type) -- first: the addresses below are read by it
  pktgen.range.ip_proto(bed.client, bed.protocol)
  if bed.protocol == "tcp" then with_syn() end
  range("dst_mac", bed.gate_mac, bed.gate_mac, bed.gate_mac, "00:00:00:00:00:00")
  range("dst_ip", of.vip, of.vip, of.vip, of.none)
  local first, last = of.client(0), of.client(bed.flows - 1)
  range("src_ip", first, first, last, bed.flows > 1 and of.one or of.none)
  range("src_port", 1024, 1024, 1024, 0)
  range("dst_port", port, port, port, 0)
  range("pkt_size", bed.size, bed.size, bed.size, 0)
  pktgen.set_range(bed.client, "on")
  pktgen.set(bed.client, "count", 0) -- without end
end

-- One flow to the VIP: what Pktgen makes its latency probes from. They go to port 1028 whatever is
-- said here.
function bed.probe()
  if bed.family ~= 4 then error("Pktgen's latency probes are IPv4 only", 0) end
  pktgen.stop(bed.client)
  pktgen.set_type(bed.client, "ipv4")
  pktgen.set_proto(bed.client, "udp")
  pktgen.set_mac(bed.client, "dst", bed.gate_mac)
  pktgen.set_ipaddr(bed.client, "src", "198.18.0.1/16")
  pktgen.set_ipaddr(bed.client, "dst", addresses[4].vip)
  pktgen.set(bed.client, "sport", 1024)
  pktgen.set(bed.client, "dport", ports.udp)
  pktgen.set(bed.client, "size", bed.size)
  pktgen.set(bed.client, "count", 0)
end

-- Sends for so long at so many percent of the line; what was sent and what arrived.
function bed.run(rate, seconds)
  pktgen.clear(bed.client)
  pktgen.clear(bed.server)
  pktgen.set(bed.client, "rate", rate)
  pktgen.start(bed.client)
  pktgen.sleep(seconds)
  pktgen.stop(bed.client)
  pktgen.sleep(3) -- Pktgen reads its ports' counters once a second
  local client, server = tonumber(bed.client), tonumber(bed.server)
  local sent = pktgen.portStats(bed.client)[client].curr.opackets
  local arrived = pktgen.portStats(bed.server)[server].curr.ipackets
  return sent, arrived
end

return bed
