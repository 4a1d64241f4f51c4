// How the API server reads texts as IP addresses: one JSON string a line in, one JSON object a line out.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"net/netip"
	"os"

	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/kubernetes/pkg/apis/core/validation"
	netutils "k8s.io/utils/net"
)

type reading struct {
	// Value is the canonical text, IPv4-mapped addresses as IPv4; empty where it reads no address.
	Value string `json:"value"`
	// Plain says that StrictIPCIDRValidation lets it pass.
	Plain bool `json:"plain"`
	// Backend says that no endpoint check of the API server refuses it.
	Backend bool `json:"backend"`
}

func read(text string) reading {
	parsed := netutils.ParseIPSloppy(text)
	if parsed == nil {
		return reading{}
	}
	value, _ := netip.AddrFromSlice(parsed)
	return reading{
		Value:   value.Unmap().String(),
		Plain:   len(utilvalidation.IsValidIPForLegacyField(nil, text, true, nil)) == 0,
		Backend: len(validation.ValidateEndpointIP(text, nil)) == 0,
	}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var text string
		if err := json.Unmarshal(lines.Bytes(), &text); err != nil {
			log.Fatal(err)
		}
		if err := out.Encode(read(text)); err != nil {
			log.Fatal(err)
		}
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}
