// Command driver runs operations of the official Go SDK; see ../README.md.
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

	sdk "github.com/keeper-security/secrets-manager-go/core"
	klog "github.com/keeper-security/secrets-manager-go/core/logger"
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

var errMissing = errors.New("not found")

type driver struct{ *sdk.SecretsManager }

func (d driver) record(title string) (*sdk.Record, error) {
	records, err := d.GetSecrets(nil)
	if err != nil {
		return nil, err
	}
	if found := sdk.FindSecretByTitle(title, records); found != nil {
		return found, nil
	}
	return nil, errMissing
}

func (d driver) folder(matches func(*sdk.KeeperFolder) bool) (*sdk.KeeperFolder, error) {
	folders, err := d.GetFolders()
	for _, item := range folders {
		if matches(item) {
			return item, nil
		}
	}
	return nil, errors.Join(err, errMissing)
}

func (d driver) named(name string) (*sdk.KeeperFolder, error) {
	return d.folder(func(item *sdk.KeeperFolder) bool { return item.Name == name })
}

func (d driver) save(title, password string, transaction sdk.UpdateTransactionType) (string, error) {
	record, err := d.record(title)
	if err != nil {
		return "", err
	}
	record.SetPassword(password)
	return "ok", d.SaveBeginTransaction(record, transaction)
}

func (d driver) deleteFolder(name string, force bool) (string, error) {
	folder, err := d.named(name)
	if err != nil {
		return "", err
	}
	statuses, err := d.DeleteFolder([]string{folder.FolderUid}, force)
	code, _, _ := strings.Cut(statuses[folder.FolderUid], ":")
	return code, err
}

func (d driver) do(operation string, args []string) (string, error) {
	switch operation {
	case "titles":
		records, err := d.GetSecrets(nil)
		titles := map[string]bool{}
		for _, item := range records {
			titles[item.Title()] = true
		}
		return joined(titles), err
	case "folders":
		folders, err := d.GetFolders()
		names, described := map[string]string{}, map[string]bool{}
		for _, item := range folders {
			names[item.FolderUid] = item.Name
		}
		for _, item := range folders {
			if item.ParentUid == "" {
				described[item.Name] = true
			} else {
				described[item.Name+" in "+names[item.ParentUid]] = true
			}
		}
		return joined(described), err
	case "notation":
		values, err := d.GetNotationResults(args[0])
		if err == nil && len(values) == 0 {
			err = errMissing
		}
		if err != nil {
			return "", err
		}
		return values[0], nil
	case "create":
		target, err := d.named(args[0])
		if err != nil {
			return "", err
		}
		where := sdk.CreateOptions{FolderUid: target.FolderUid}
		if target.ParentUid != "" {
			where = sdk.CreateOptions{FolderUid: target.ParentUid, SubFolderUid: target.FolderUid}
		}
		content := sdk.NewRecordCreate("login", args[1])
		content.Fields = append(content.Fields, sdk.NewPassword(args[2]))
		_, err = d.CreateSecretWithRecordDataAndOptions(&where, content, nil)
		return "ok", err
	case "update":
		return d.save(args[0], args[1], sdk.TransactionTypeNone)
	case "rotate":
		return d.save(args[0], args[1], sdk.TransactionTypeRotation)
	case "create-folder":
		parent, err := d.named(args[0])
		if err != nil {
			return "", err
		}
		_, err = d.CreateFolder(sdk.CreateOptions{FolderUid: parent.FolderUid}, args[1], nil)
		return "ok", err
	case "rename-folder":
		folder, err := d.named(args[0])
		if err != nil {
			return "", err
		}
		return "ok", d.UpdateFolder(folder.FolderUid, args[1], nil)
	case "delete-folder":
		return d.deleteFolder(args[0], false)
	case "delete-folder-with-content":
		return d.deleteFolder(args[0], true)
	}
	return d.withRecord(operation, args)
}

func (d driver) withRecord(operation string, args []string) (string, error) {
	record, err := d.record(args[0])
	if err != nil {
		return "", err
	}
	switch operation {
	case "where":
		uid := record.InnerFolderUid()
		if uid == "" {
			uid = record.FolderUid()
		}
		folder, err := d.folder(func(item *sdk.KeeperFolder) bool { return item.FolderUid == uid })
		if err != nil {
			return "", err
		}
		return folder.Name, nil
	case "finalize":
		return "ok", d.CompleteTransaction(record.Uid, false)
	case "rollback":
		return "ok", d.CompleteTransaction(record.Uid, true)
	case "delete":
		statuses, err := d.DeleteSecrets([]string{record.Uid})
		return statuses[record.Uid], err
	case "upload":
		file := sdk.KeeperFileUpload{Name: args[1], Title: args[2], Type: args[3], Data: []byte(args[4])}
		_, err := d.UploadFile(record, &file)
		return "ok", err
	case "attachments":
		described := map[string]bool{}
		for _, item := range record.Files {
			described[fmt.Sprintf("%s (%s, %s)", item.Name, item.Title, item.Type)] = true
		}
		return joined(described), nil
	}
	for _, item := range record.Files {
		if len(args) < 2 || item.Name != args[1] {
			continue
		}
		switch operation {
		case "download":
			return strings.TrimRight(string(item.GetFileData()), "\n "), nil
		case "unlink":
			return "ok", d.SaveWithOptions(record, sdk.UpdateOptions{LinksToRemove: []string{item.Uid}})
		}
	}
	return "", fmt.Errorf("%s: %w", operation, errMissing)
}

func joined(words map[string]bool) string {
	sorted := make([]string, 0, len(words))
	for word := range words {
		sorted = append(sorted, word)
	}
	sort.Strings(sorted)
	return strings.Join(sorted, ", ")
}

func main() {
	klog.SetOutput(io.Discard)
	config := map[string]string{}
	decoded, err := base64.StdEncoding.DecodeString(os.Getenv("KSM_CONFIG"))
	if err == nil {
		err = json.Unmarshal(decoded, &config)
	}
	if err != nil {
		panic(err)
	}
	serverPublicKeys[config["serverPublicKeyId"]] = config["serverPublicKey"]
	context := &sdk.Context{Transport: withPort{config["hostname"]}}
	options := &sdk.ClientOptions{Config: sdk.NewMemoryKeyValueStorage(os.Getenv("KSM_CONFIG"))}
	manager := sdk.NewSecretsManager(options, &context)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		args := strings.Split(lines.Text(), "\t")
		result, err := driver{manager}.do(args[0], args[1:])
		if err != nil {
			result = "error\t" + strings.ReplaceAll(err.Error(), "\n", " ")
		}
		fmt.Println(result)
	}
}
