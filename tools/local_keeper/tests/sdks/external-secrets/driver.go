// Command driver makes the calls of External Secrets' Keeper provider; see ../README.md.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"strings"
	_ "unsafe" // for linkname

	ksm "github.com/keeper-security/secrets-manager-go/core"
	"github.com/keeper-security/secrets-manager-go/core/logger"
)

// The SDK ignores serverPublicKey in configurations, so local Keeper's key is added to the SDK's table.
//
//go:linkname serverPublicKeys github.com/keeper-security/secrets-manager-go/core.keeperServerPublicKeys
var serverPublicKeys map[string]string

// The SDK removes the port from the host name in configurations, so the transport adds it again.
type withPort struct{ host string }

func (t withPort) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.URL.Host = t.host
	return http.DefaultTransport.RoundTrip(request)
}

// pushed is the type of the records that the provider creates; it changes no others.
const pushed = "externalSecrets"

var (
	errMissing   = errors.New("not found")
	errNotUnique = errors.New("more than one record has this title")
)

type field struct {
	Type  string `json:"type"`
	Label string `json:"label"`
	Value []any  `json:"value"`
}

// content is what the provider reads from a record's JSON. Other types of values are an error.
type content struct {
	Title  string  `json:"title"`
	Type   string  `json:"type"`
	Fields []field `json:"fields"`
	Custom []field `json:"custom"`
}

type driver struct {
	*ksm.SecretsManager
	folder string
}

// find asks for a UID, and then for a title, as the provider does with getByTitleFallback.
func (d driver) find(key string) (*ksm.Record, error) {
	records, err := d.GetSecrets([]string{key})
	if err == nil && len(records) == 0 {
		records, err = d.GetSecretsByTitle(key)
	}
	switch {
	case err != nil:
		return nil, err
	case len(records) == 0:
		return nil, errMissing
	case len(records) > 1:
		return nil, errNotUnique
	}
	return records[0], nil
}

// properties returns what an ExternalSecret can select in a record: fields by label or type, custom fields, files by title.
func properties(record *ksm.Record) (map[string]string, error) {
	var read content
	if err := json.Unmarshal([]byte(record.RawJson), &read); err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, item := range append(read.Fields, read.Custom...) {
		name := item.Label
		if name == "" {
			name = item.Type
		}
		if _, twice := found[name]; twice {
			return nil, fmt.Errorf("two fields are called %s", name)
		}
		found[name] = text(item.Value)
	}
	for _, file := range record.Files {
		found[file.Title] = string(file.GetFileData())
	}
	return found, nil
}

func text(values []any) string {
	var value any = values
	if len(values) == 1 {
		value = values[0]
	}
	if plain, is := value.(string); is {
		return plain
	}
	encoded, _ := json.Marshal(value)
	return string(encoded)
}

// own returns the record with this title that the provider has created, or nil.
func (d driver) own(title string) (*ksm.Record, error) {
	records, err := d.GetSecretsByTitle(title)
	var found []*ksm.Record
	for _, record := range records {
		if record.Type() == pushed {
			found = append(found, record)
		}
	}
	switch {
	case err != nil || len(found) == 0:
		return nil, err
	case len(found) > 1:
		return nil, errNotUnique
	}
	return found[0], nil
}

func (d driver) push(title, key, value string) error {
	record, err := d.own(title)
	if err != nil {
		return err
	}
	if record != nil {
		if key == "password" {
			record.SetPassword(value)
		} else if record.GetCustomFieldValueByLabel(key) != "" {
			record.SetCustomFieldValueSingle(key, value)
		} else {
			return errMissing
		}
		return d.Save(record)
	}
	created := ksm.NewRecordCreate(pushed, title)
	if key == "password" {
		created.Fields = append(created.Fields, ksm.NewPassword(value))
	} else {
		label := ksm.KeeperRecordField{Type: "secret", Label: key}
		created.Custom = append(created.Custom, ksm.Secret{KeeperRecordField: label, Value: []string{value}})
	}
	_, err = d.CreateSecretWithRecordData("", d.folder, created)
	return err
}

func (d driver) do(operation string, args []string) (string, error) {
	switch operation {
	case "titles":
		records, err := d.GetSecrets([]string{})
		titles := map[string]string{}
		for _, record := range records {
			titles[record.Title()] = ""
		}
		return names(titles), err
	case "get", "properties":
		record, err := d.find(args[0])
		if err != nil {
			return "", err
		}
		found, err := properties(record)
		if err != nil || operation == "properties" {
			return names(found), err
		}
		value, there := found[args[1]]
		if !there {
			return "", errMissing
		}
		return strings.TrimRight(value, "\n"), nil
	case "push":
		return "ok", d.push(args[0], args[1], args[2])
	case "delete":
		record, err := d.own(args[0])
		if err != nil || record == nil {
			return "already deleted", err
		}
		statuses, err := d.DeleteSecrets([]string{record.Uid})
		return statuses[record.Uid], err
	}
	return "", fmt.Errorf("%s: %w", operation, errMissing)
}

func names(of map[string]string) string {
	sorted := make([]string, 0, len(of))
	for name := range of {
		sorted = append(sorted, name)
	}
	sort.Strings(sorted)
	return strings.Join(sorted, ", ")
}

func main() {
	logger.SetOutput(io.Discard) // the SDK logs to standard output
	encoded := os.Getenv("KSM_CONFIG")
	os.Unsetenv("KSM_CONFIG") // the provider's process has none; its configuration comes from a Kubernetes Secret
	config := map[string]string{}
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err == nil {
		err = json.Unmarshal(decoded, &config)
	}
	if err != nil {
		panic(err)
	}
	serverPublicKeys[config["serverPublicKeyId"]] = config["serverPublicKey"]
	http.DefaultClient.Transport = withPort{config["hostname"]}
	options := &ksm.ClientOptions{Config: ksm.NewMemoryKeyValueStorage(encoded), LogLevel: logger.ErrorLevel}
	manager := ksm.NewSecretsManager(options)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		args := strings.Split(lines.Text(), "\t")
		result, err := driver{manager, os.Getenv("FOLDER")}.do(args[0], args[1:])
		if err != nil {
			result = "error\t" + strings.ReplaceAll(err.Error(), "\n", " ")
		}
		fmt.Println(result)
	}
}
