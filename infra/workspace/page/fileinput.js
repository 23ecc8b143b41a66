// file_input: choose or drop files, see them travel, remove them again. The value is a list of file objects.

import { h } from './dom.js';
import { icon } from './icons.js';
import { upload } from './api.js';
import { valueOf, write } from './values.js';
import { ids, labelling } from './controls.js';

const DEFAULT_MAX_FILES = 10;
const underWay = new Map(); // container key -> number of files that travel

/** True while a file of this container is being uploaded: nothing may be submitted before it has arrived. */
export const uploading = (key) => underWay.get(key) > 0;

/** "1.4 MB" */
export function sizeText(bytes) {
  if (!Number.isFinite(bytes)) return '';
  const units = ['B', 'KB', 'MB', 'GB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log(Math.max(bytes, 1)) / Math.log(1024)));
  const number = bytes / 1024 ** power;
  return `${number < 10 && power ? number.toFixed(1) : Math.round(number)} ${units[power]}`;
}

/** Draw a file input. */
export const fileInput = (ctx, block, element) => new FileInput(ctx, block, element).root;

class FileInput {
  constructor(ctx, block, element) {
    Object.assign(this, { ctx, block, element, types: element.filetypes || [], most: element.max_files || DEFAULT_MAX_FILES });
    this.list = h('ul', { class: 'file-list' });
    this.problem = h('p', { class: 'file-problem', role: 'alert', hidden: true });
    this.drop = this.dropZone();
    this.root = h('div', { class: 'file-input', 'data-action-id': element.action_id }, this.list, this.drop, this.problem);
    this.paint();
  }

  get files() {
    return valueOf(this.ctx.key, this.block, this.element) || [];
  }

  dropZone() {
    const picked = () => {
      this.take([...picker.files]);
      picker.value = '';
    };
    const picker = h('input', {
      type: 'file', class: 'file-picker', multiple: this.most > 1, accept: this.types.map((type) => `.${type}`).join(',') || null,
      'data-focus-key': ids(this.ctx, this.block, this.element)['data-focus-key'], ...labelling(this.ctx, this.block), on: { change: picked },
    });
    return h('label', { class: 'drop', on: dropHandlers((chosen) => this.take(chosen)) }, picker, icon('upload', 20),
      h('span', null, h('strong', null, this.most > 1 ? 'Choose files' : 'Choose a file'), ' or drop here'),
      h('span', { class: 'drop-hint' }, [this.types.join(', ') || 'any type', this.most > 1 && `up to ${this.most}`].filter(Boolean).join(' · ')));
  }

  paint() {
    this.list.replaceChildren(...this.files.map((file) => row(file, this.removeButton(file))));
    this.drop.hidden = this.files.length >= this.most;
  }

  removeButton(file) {
    const remove = () => this.store(this.files.filter((one) => one.id !== file.id));
    return h('button', { class: 'icon-button', type: 'button', 'aria-label': `Remove ${file.name}`, on: { click: remove } }, icon('close', 14));
  }

  store(files) {
    write(this.ctx.key, this.block, this.element, files);
    this.ctx.onChange?.(this.block);
    this.paint();
  }

  complain(text) {
    this.problem.textContent = text;
    this.problem.hidden = !text;
  }

  async take(chosen) {
    this.complain('');
    for (const file of chosen.slice(0, this.most - this.files.length)) {
      const type = file.name.split('.').pop().toLowerCase();
      if (this.types.length && !this.types.includes(type)) this.complain(`${file.name}: only ${this.types.join(', ')} files are accepted.`);
      else await this.send(file);
    }
  }

  count(change) {
    underWay.set(this.ctx.key, (underWay.get(this.ctx.key) || 0) + change);
    this.ctx.onUpload?.();
  }

  async send(file) {
    const bar = h('progress', { max: '1', value: '0', 'aria-label': `Uploading ${file.name}` });
    const line = row(file, bar);
    this.list.append(line);
    this.count(1);
    const answer = await upload(file, (part) => { bar.value = part; });
    this.count(-1);
    line.remove();
    if (answer.ok) this.store([...this.files, answer.file]);
    else this.complain(answer.error || `${file.name} could not be uploaded.`);
  }
}

function row(file, extra) {
  return h('li', { class: 'file-row', 'data-file-id': file.id }, icon('file', 18), h('span', { class: 'file-name' }, file.name), h('span', { class: 'file-size' }, sizeText(file.size)), extra);
}

function dropHandlers(take) {
  const mark = (event, on) => {
    event.preventDefault();
    event.currentTarget.classList.toggle('is-over', on);
  };
  return {
    dragover: (event) => mark(event, true),
    dragleave: (event) => mark(event, false),
    drop: (event) => {
      mark(event, false);
      take([...event.dataTransfer.files]);
    },
  };
}
