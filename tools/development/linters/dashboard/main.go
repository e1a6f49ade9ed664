// Command dashboard reads Grafana dashboards with the Go types that Grafana generates from its own schema. It prints what does
// not fit: unknown fields, missing fields, wrong types, panels that Grafana does not have, and values outside their range.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

func main() {
	plugins.RegisterDefaultPlugins() // the panels of Grafana
	code := 0
	for _, path := range os.Args[1:] {
		for _, problem := range problems(path) {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, problem)
			code = 1
		}
	}
	os.Exit(code)
}

func problems(path string) []error {
	content, err := os.ReadFile(path)
	if err != nil {
		return []error{err}
	}
	var strict, whole dashboard.Dashboard
	found := all(strict.UnmarshalJSONStrict(content))
	// Reading strictly leaves out panels, so ranges are checked in what is read without that.
	if err := json.Unmarshal(content, &whole); err == nil {
		found = append(found, all(whole.Validate())...)
	}
	var queried struct {
		Panels []panel `json:"panels"`
	}
	if err := json.Unmarshal(content, &queried); err != nil {
		return append(found, err)
	}
	for i, item := range queried.Panels {
		for _, problem := range item.problems() {
			found = append(found, fmt.Errorf("panels[%d].%w", i, problem))
		}
	}
	return found
}

// panel is what the SDK does not check in a panel: it reads queries before it knows their data source, and accepts any fields.
type panel struct {
	Type    string            `json:"type"`
	Targets []json.RawMessage `json:"targets"`
}

func (p panel) problems() []error {
	var found []error
	if _, known := cog.ConfigForPanelcfgVariant(p.Type); !known && p.Type != "row" {
		found = append(found, fmt.Errorf("type: '%s' is not a panel of Grafana", p.Type))
	}
	for i, target := range p.Targets {
		var query prometheus.Dataquery
		for _, problem := range all(query.UnmarshalJSONStrict(target)) {
			found = append(found, fmt.Errorf("targets[%d].%w", i, problem))
		}
	}
	return found
}

// all returns the problems in an error. The SDK returns an empty list of problems as an error that is not nil.
func all(err error) []error {
	var listed cog.BuildErrors
	if !errors.As(err, &listed) {
		if err == nil {
			return nil
		}
		return []error{err}
	}
	var found []error
	for _, problem := range listed {
		found = append(found, problem)
	}
	return found
}
