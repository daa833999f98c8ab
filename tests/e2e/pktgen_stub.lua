-- Pktgen's Lua functions as far as tools/pktgen uses them, so that its scripts run where there is no
-- Pktgen. Names, numbers of arguments and words are those that app/lpktgenlib.c of Pktgen-DPDK 26.02
-- takes; anything else fails. Behind the ports is a wire that loses what is above $WIRE_PERCENT of the
-- line.
--
--   lua5.4 pktgen_stub.lua SCRIPT
--
-- Prints each call, `CALL name arguments`.

local wire = tonumber(os.getenv("WIRE_PERCENT") or 100)
local line_per_second = 14880952
local settings = { rate = 100 }
local counted = { sent = 0, arrived = 0 }
local sending, probes, output = false, {}, nil

local function one_of(...)
  local words = { ... }
  return function(value)
    for _, word in ipairs(words) do
      if value == word then return end
    end
    error(tostring(value) .. " is none of " .. table.concat(words, ", "), 0)
  end
end
local function matches(pattern)
  return function(value)
    if not tostring(value):match(pattern) then error(tostring(value) .. " is not of the form", 0) end
  end
end
local function whole(value)
  if math.type(value) ~= "integer" then error(tostring(value) .. " is not a whole number", 0) end
end
local function is_number(value)
  if tonumber(value) == nil then error(tostring(value) .. " is no number", 0) end
end

local portlist = matches("^%d[%d,-]*$")
local mac = matches("^%x%x:%x%x:%x%x:%x%x:%x%x:%x%x$")
local step = one_of("start", "min", "max", "inc")
local address = matches("^[%x.:]+$")
local state = one_of("on", "off", "enable", "disable")

local function call(name, takes, does)
  return function(...)
    local given = table.pack(...)
    if given.n ~= #takes then error(name .. ", wrong number of arguments", 0) end
    for i, check in ipairs(takes) do check(given[i]) end
    local words = {}
    for i = 1, given.n do words[i] = tostring(given[i]) end
    print("CALL " .. name .. " " .. table.concat(words, " "))
    if does then return does(...) end
  end
end

local settable = one_of("count", "size", "rate", "burst", "txburst", "rxburst", "sport", "dport", "ttl")
local known = {
  set = call("set", { portlist, settable, is_number },
    function(_, what, value) settings[what] = value end),
  set_mac = call("set_mac", { portlist, one_of("dst", "src"), mac }),
  set_ipaddr = call("set_ipaddr", { portlist, one_of("dst", "src"), matches("^[%x.:]+/?%d*$") }),
  set_proto = call("set_proto", { portlist, one_of("udp", "tcp", "icmp") }),
  set_type = call("set_type", { portlist, one_of("ipv4", "ipv6", "arp") }),
  set_range = call("set_range", { portlist, state }),
  stop = call("stop", { portlist }, function() sending = false end),
  start = call("start", { portlist }, function() sending = true end),
  load = call("load", { matches(".") }, function(name) -- of commands, which are shown
    for line in io.lines(name) do print("COMMAND " .. line) end
  end),
  clear = call("clear", { portlist }, function() counted = { sent = 0, arrived = 0 } end),
  sleep = call("sleep", { whole }, function(seconds)
    if not sending then return end
    local line = seconds * line_per_second
    counted.sent = math.floor(line * settings.rate / 100)
    counted.arrived = math.floor(line * math.min(settings.rate, wire) / 100)
  end),
  portStats = call("portStats", { portlist }, function(port)
    return { n = 1, [tonumber(port)] = { curr = { opackets = counted.sent, ipackets = counted.arrived } } }
  end),
  latsampler_params = call("latsampler_params",
    { portlist, one_of("simple", "poisson"), whole, whole, matches(".") },
    function(_, _, _, _, file) output = file end),
  latsampler = call("latsampler", { portlist, state }, function(_, to)
    if to ~= "off" then return end
    local file <close> = assert(io.open(output, "w"))
    file:write("Latency\n")
    for i = 1, os.getenv("NO_PROBES") and 0 or 100 do file:write(i * 1000, "\n") end
  end),
  latency = function(...) -- two forms
    if select("#", ...) == 3 then
      return call("latency", { portlist, one_of("rate", "entropy"), whole })(...)
    end
    return call("latency", { portlist, state })(...)
  end,
  range = {
    set_type = call("range.set_type", { portlist, one_of("ipv4", "ipv6") }),
    ip_proto = call("range.ip_proto", { portlist, one_of("udp", "tcp") }),
    dst_mac = call("range.dst_mac", { portlist, step, mac }),
    src_ip = call("range.src_ip", { portlist, step, address }),
    dst_ip = call("range.dst_ip", { portlist, step, address }),
    src_port = call("range.src_port", { portlist, step, whole }),
    dst_port = call("range.dst_port", { portlist, step, whole }),
    pkt_size = call("range.pkt_size", { portlist, step, whole }),
  },
}
local function strict(table_, prefix)
  return setmetatable(table_, { __index = function(_, name)
    error("Pktgen has no " .. prefix .. name, 0)
  end })
end
strict(known.range, "pktgen.range.")
pktgen = strict(known, "pktgen.")

dofile(arg[1])
